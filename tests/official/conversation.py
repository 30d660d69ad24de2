"""The official Python client (package `mcp`) works through all that the server offers, on a Mosquitto of its own:
    conversation.py legacy|modern SERVER...
Ends with an assertion when something is not as it should be."""
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings

import anyio
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp_types import PromptReference, ResourceTemplateReference

# The client warns of what the newest revision has no more.
warnings.simplefilter("ignore")
mode, command = sys.argv[1], sys.argv[2:]
TEMPLATE = ResourceTemplateReference(uri="mqtt://{session_id}/topic/{+topic}")


@contextlib.contextmanager
def mosquitto():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        config = pathlib.Path(directory, "conf")
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        broker = subprocess.Popen([program, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                assert time.monotonic() < deadline and broker.poll() is None, "Mosquitto does not start"
                time.sleep(0.01)
            yield f"mqtt://127.0.0.1:{port}"
        finally:
            broker.kill()
            broker.wait()


async def call(client, name, arguments, **options):
    result = await client.call_tool(name, arguments, **options)
    assert not result.is_error, (name, result)
    assert json.loads(result.content[0].text) == result.structured_content, name
    return result.structured_content


async def published(client, session, payload, retain=False):
    arguments = {"session_id": session, "topic": "official/client", "payload": payload, "qos": 1, "retain": retain}
    assert (await call(client, "publish_message", arguments))["delivery"] == "acknowledged"


async def reads_and_lists(client, session):
    uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
    assert uris == ["mqtt://sessions", f"mqtt://{session}/broker"], uris
    for uri in uris:
        json.loads((await client.read_resource(uri)).contents[0].text)
    assert [t.uri_template for t in (await client.list_resource_templates()).resource_templates] == [TEMPLATE.uri]
    await published(client, session, {"n": 1}, retain=True)
    content = (await client.read_resource(f"mqtt://{session}/topic/official/client")).contents[0]
    assert content.text == '{"n":1}' and content.mime_type == "application/json", content
    try:
        await client.read_resource("mqtt://no-such-resource")
        raise AssertionError("there is no such resource")
    except MCPError as error:
        assert error.error.code == (-32602 if mode == "modern" else -32002), error
    for prompt in (await client.list_prompts()).prompts:
        arguments = {a.name: "x" for a in prompt.arguments if a.required}
        assert (await client.get_prompt(prompt.name, arguments)).messages[0].content.text
    found = await client.complete(TEMPLATE, {"name": "topic", "value": "off"}, {"session_id": session})
    assert found.completion.values == ["official/client"], found
    found = await client.complete(PromptReference(name="audit_traffic"), {"name": "session_id", "value": session[:5]})
    assert found.completion.values == [session], found


async def updates(client, session, told):
    uri = f"mqtt://{session}/topic/official/client"
    with anyio.fail_after(10):
        if mode == "legacy":
            await client.subscribe_resource(uri)
            await published(client, session, "changed")
            while "notifications/resources/updated" not in told:
                await anyio.sleep(0.01)
            await client.unsubscribe_resource(uri)
            return
        async with client.listen(resource_subscriptions=[uri, "mqtt://sessions"], tools_list_changed=True) as stream:
            assert list(stream.honored.resource_subscriptions) == [uri], stream.honored
            await published(client, session, "changed")
            async for event in stream:
                assert event.uri == uri, event
                break
    assert (await client.read_resource(uri)).contents[0].text


async def long_waits(client, session):
    watch = (await call(client, "start_watch", {"session_id": session, "topic_pattern": "official/#"}))["watch_id"]
    steps = []

    async def progress(done, total, message):
        steps.append((done, total, message))

    arguments = {"session_id": session, "duration_seconds": 2}
    await call(client, "list_topics", arguments, progress_callback=progress)
    assert steps and all(a[0] < b[0] for a, b in zip(steps, steps[1:])), steps
    with anyio.move_on_after(0.2):
        await client.call_tool("read_watch", {"watch_id": watch, "since": 100, "wait_seconds": 60})
        raise AssertionError("nothing was published")
    await published(client, session, "while the watch runs")
    read = await call(client, "read_watch", {"watch_id": watch, "wait_seconds": 10})
    assert read["dropped"] == 0 and read["messages"][-1]["payload"] == "while the watch runs", read
    await call(client, "stop_watch", {"watch_id": watch})


async def main(url):
    told = []

    async def on_message(message):
        assert not isinstance(message, Exception), message
        told.append(message.method)

    server = StdioServerParameters(command=command[0], args=command[1:])
    async with Client(server, mode="legacy" if mode == "legacy" else "auto", message_handler=on_message, cache=None) as client:
        assert (client.protocol_version == "2026-07-28") == (mode == "modern"), client.protocol_version
        await client.list_tools()
        session = (await call(client, "establish_connection", {"connection_string": url}))["session_id"]
        await reads_and_lists(client, session)
        await updates(client, session, told)
        await long_waits(client, session)
        arguments = {"session_id": session, "topic_pattern": "official/#", "dry_run": False}
        assert (await call(client, "clear_retained", arguments))["cleared"] == 1
        await call(client, "close_connection", {"session_id": session})
        refused = await client.call_tool("list_topics", {"session_id": session})
        assert refused.is_error and refused.structured_content["error"]["code"] == "unknown_session", refused


with mosquitto() as broker_url:
    anyio.run(main, broker_url)
