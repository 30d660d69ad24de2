use super::*;

fn at(ms: u64) -> At {
    At { elapsed: Duration::from_millis(ms), unix_ms: 1_000_000 + ms }
}

#[test]
fn the_answer_that_belongs_wins_over_the_one_that_came_next() {
    let mut commands = Commands::default();
    commands.record(at(0), "p/cmd", "on", false);
    commands.answer(at(10), "p/beat", "tick", false, Moment::Any);
    commands.answer(at(20), "p/temperature", "21", true, Moment::Any);
    commands.answer(at(90), "p/status", "on", false, Moment::Any);
    commands.answer(at(120), "p/status", "off", true, Moment::Any);
    let answer = commands.iter().next().and_then(|command| command.answer(|_| false)).expect("an answer");
    assert_eq!((&*answer.topic, answer.delay, answer.sure), ("p/status", Duration::from_millis(90), true));
    commands.record(at(200), "x/cmd", "on", false);
    commands.answer(at(210), "p/temperature", "22", true, Moment::Any);
    commands.answer(at(220), "p/door", "open", true, Moment::Any);
    let command = commands.iter().last().expect("a command");
    assert_eq!(command.answer(|topic| topic == "p/temperature").map(|answer| &*answer.topic), Some("p/door"));
    assert!(command.answer(|_| true).is_none());
    commands.record(at(300), "x/cmd", "off", false);
    commands.answer(at(310), "p/door", "closed", true, Moment::Early);
    let command = commands.iter().last().expect("a command");
    assert_eq!(command.answer(|_| true).map(|answer| &*answer.payload), Some("closed"), "before the next beat");
}

#[test]
fn what_comes_anyway_and_says_nothing_new_is_no_answer() {
    let late = 1 + ANSWER_WAIT.as_millis() as u64;
    for (delay, is_news, beats, expected) in [
        (late, false, true, true),
        (late, false, false, false),
        (late, true, true, false),
        (late - 1, false, true, false),
    ] {
        let mut commands = Commands::default();
        commands.record(at(0), "s/relay/0/command", "off", false);
        commands.answer(at(delay), "s/relay/0", "on", is_news, Moment::Any);
        let command = commands.iter().next().expect("a command");
        let told = command.is_unanswered(at(60_000).elapsed, ["s/relay/0"].into_iter(), |_| beats);
        assert_eq!(told, expected, "{delay} {is_news} {beats}");
        commands.answer(at(delay + 10), "s/relay/0", "off", true, Moment::Any);
        assert!(commands.iter().next().and_then(|command| command.answer(|_| beats)).is_some());
    }
}

#[test]
fn what_is_told_to_be_on_again_was_not_switched_off() {
    for (asked, told, expected) in [
        ("{\"state\":\"OFF\"}", ["{\"state\":\"ON\",\"power\":7}", "{\"state\":\"ON\",\"power\":8}"], true),
        ("{\"state\":\"OFF\"}", ["{\"state\":\"ON\",\"power\":7}", "{\"state\":\"OFF\",\"power\":0}"], false),
        ("{\"child_lock\":true}", ["{\"child_lock\":false,\"t\":7}", "{\"child_lock\":false,\"t\":8}"], true),
        ("{\"state\":\"TOGGLE\"}", ["{\"state\":\"ON\",\"power\":7}", "{\"state\":\"ON\",\"power\":8}"], false),
        ("{\"state\":\"STOP\"}", ["{\"state\":\"OPEN\",\"p\":7}", "{\"state\":\"OPEN\",\"p\":8}"], false),
    ] {
        let mut commands = Commands::default();
        commands.record(at(0), "z/plug/set", asked, false);
        for (ms, told) in [(900, told[0]), (9000, told[1])] {
            commands.answer(at(ms), "z/plug", told, true, Moment::Any);
        }
        let command = commands.iter().next().expect("a command");
        assert_eq!(
            command.is_unanswered(at(60_000).elapsed, ["z/plug"].into_iter(), |_| false),
            expected,
            "{asked} {told:?}"
        );
    }
}

#[test]
fn a_beat_that_still_tells_the_old_value_is_no_answer_and_a_response_is_one_anywhere() {
    for (asked, told, moment, expected) in [
        ("now", "pv", Moment::Due, true),
        ("now", "pv", Moment::Any, false),
        ("now", "NOW", Moment::Due, false),
        ("60", "60.0", Moment::Due, false),
        ("60", "80", Moment::Due, true),
        ("1", "true", Moment::Due, false),
        ("", "pv", Moment::Due, false),
        ("{\"mode\":\"now\"}", "pv", Moment::Due, false),
    ] {
        let mut commands = Commands::default();
        commands.record(at(0), "e/1/mode/set", asked, false);
        commands.answer(at(3000), "e/1/mode", told, false, moment);
        let command = commands.iter().next().expect("a command");
        let is = command.is_unanswered(at(60_000).elapsed, ["e/1/mode"].into_iter(), |_| true);
        assert_eq!(is, expected, "{asked} {told} {moment:?}");
    }
    let late = 1 + ANSWER_WAIT.as_millis() as u64;
    for (told, expected) in [("50", false), ("48", true)] {
        let mut commands = Commands::default();
        commands.record(at(100), "h/water/set", "50", false);
        commands.answer(at(late + 100), "h/water", told, false, Moment::Due);
        let command = commands.iter().last().expect("a command");
        let is = command.is_unanswered(at(60_000).elapsed, ["h/water"].into_iter(), |_| true);
        assert_eq!(is, expected, "{told}, as before");
    }
    let mut commands = Commands::default();
    commands.record(at(0), "d/commands", "{\"CMD\":\"getinfo\"}", false);
    commands.answer(at(900), "d/data", "{\"state\":{}}", true, Moment::Any);
    commands.answer(at(1000), "d/data", "{\"RSP\":\"fine\"}", true, Moment::Any);
    let command = commands.iter().next().expect("a command");
    assert_eq!(command.answer(|_| true).map(|answer| &*answer.payload), Some("{\"RSP\":\"fine\"}"));
}

#[test]
fn who_goes_on_to_tell_the_old_number_has_not_taken_the_new_one() {
    for (asked, told, expected) in [
        ("1", &["0", "0"][..], true),
        ("1", &["0"], false),
        ("1", &["0", "1", "1"], false),
        ("21.3", &["21.5", "21.5"], false),
        ("OPEN", &["closed", "closed"], false),
    ] {
        let mut commands = Commands::default();
        commands.record(at(0), "go/7/frc/set", asked, false);
        for (second, told) in (1..).zip(told) {
            commands.answer(at(second * 1000), "go/7/frc", told, *told == "1", Moment::Any);
        }
        let command = commands.iter().next().expect("a command");
        let is = command.is_unanswered(at(60_000).elapsed, ["go/7/frc"].into_iter(), |_| false);
        assert_eq!(is, expected, "{asked} {told:?}");
    }
}

#[test]
fn sparkplug_data_answer_a_command_when_they_tell_what_it_sets() {
    for (asked, told, expected) in [
        (r#"{"Setpoint":80.0}"#, r#"{"Temp":71.2,"Speed":3}"#, false),
        (r#"{"Setpoint":80.0}"#, r#"{"Temp":71.2,"Setpoint":75.0}"#, true),
        (r#"{"Setpoint":0.6}"#, r#"{"alias 10":71.2,"alias 14":0.6000000238418579}"#, true),
        (r#"{"Setpoint":80.0}"#, r#"{"alias 10":71.2,"alias 11":4.1}"#, false),
        (r#"{"Setpoint":80.0}"#, r#"{"alias 14":75.0}"#, true),
        (r#"{"Pump":true}"#, r#"{"Temp":71.2}"#, true),
    ] {
        let mut commands = Commands::default();
        commands.record(at(0), "spBv1.0/g/DCMD/n/d", asked, false);
        commands.answer(at(1000), "spBv1.0/g/DDATA/n/d", told, true, Moment::Any);
        let answer = commands.iter().next().and_then(|command| command.answer(|_| false));
        assert_eq!(answer.is_some(), expected, "{asked} {told}");
    }
}

#[test]
fn an_answer_comes_where_the_command_wants_it_and_a_birth_where_births_do() {
    for (topic, payload, told, expected) in [
        ("press/req", r#"{"id":7,"replyTo":"app/7"}"#, "app/7", true),
        ("press/req", r#"{"id":7,"replyTo":"app/77"}"#, "app/7", false),
        ("spBv1.0/g/NCMD/n", r#"{"Node Control/Rebirth":true}"#, "spBv1.0/g/NBIRTH/n", true),
        ("spBv1.0/g/NCMD/n", r#"{"Node Control/Rebirth":true}"#, "spBv1.0/g/NDATA/n", false),
        ("spBv1.0/g/NCMD/n", r#"{"Mode":2}"#, "spBv1.0/g/NDATA/n", true),
    ] {
        let mut commands = Commands::default();
        commands.record(at(0), topic, payload, false);
        commands.answer(at(100), told, "{}", false, Moment::Any);
        let answer = commands.iter().next().and_then(|command| command.answer(|_| false));
        assert_eq!(answer.is_some_and(|answer| answer.sure), expected, "{topic} {payload} {told}");
    }
}

#[test]
fn a_command_without_an_answer_is_told_when_its_time_is_over() {
    let mut commands = Commands::default();
    commands.record(at(0), "p/set", "on", false);
    commands.record(at(0), "p/set", "kept", true);
    commands.answer(at(1 + LATE_ANSWER_WAIT.as_millis() as u64), "p", "late", true, Moment::Any);
    let unanswered =
        |end| commands.iter().filter(|command| command.is_unanswered(end, ["p"].into_iter(), |_| false)).count();
    assert_eq!((unanswered(ANSWER_WAIT), unanswered(ANSWER_WAIT * 2)), (0, 1));
}

/// How many of the commands are told to be unanswered where there are these topics, of which those that end so beat.
fn told(commands: &Commands, topics: &[&str], beating: &str) -> usize {
    let beats = |topic: &str| topic.ends_with(beating);
    commands.unanswered(at(600_000).elapsed, || topics.iter().copied(), beats).len()
}

#[test]
fn what_was_never_answered_and_has_no_topic_for_answers_owes_none() {
    let value = "openWB/set/chargepoint/2/set/manual_lock";
    for (topic, topics, expected) in [
        (value, &["openWB/chargepoint/2/get/power"][..], 0),
        (value, &["openWB/status/chargepoint/2/set/manual_lock"], 1),
        ("R/c0619ab2f1e4/keepalive", &["N/c0619ab2f1e4/heartbeat"], 0),
        ("W/c0619ab2f1e4/vebus/276/Mode", &["N/c0619ab2f1e4/vebus/276/Mode"], 1),
        ("line2/press/cmd", &["line2/press/telemetry"], 1),
        ("application/1/device/a840/command/down", &["application/1/device/a840/event/ack"], 0),
    ] {
        let mut commands = Commands::default();
        commands.record(at(0), topic, "1", false);
        assert_eq!(told(&commands, topics, ""), expected, "{topic}");
    }
    let mut commands = Commands::default();
    commands.record(at(0), "R/c0619ab2f1e4/keepalive", "", false);
    commands.answer(at(100), "N/c0619ab2f1e4/keepalive", "1", true, Moment::Any);
    commands.record(at(100_000), "R/c0619ab2f1e4/keepalive", "", false);
    assert_eq!(told(&commands, &["N/c0619ab2f1e4/keepalive"], ""), 0, "it only keeps alive");
    let mut commands = Commands::default();
    commands.record(at(0), value, "true", false);
    commands.answer(at(100), "openWB/chargepoint/2/log", "locked", true, Moment::Any);
    commands.record(at(100_000), value, "false", false);
    assert_eq!(told(&commands, &["openWB/chargepoint/2/get/power"], "power"), 1, "it was answered before");
}

#[test]
fn who_tells_its_state_as_tasmota_does_owes_an_answer_as_it_gives_them() {
    for (own, expected) in [("tele/rf/STATE", 1), ("tele/rf2/STATE", 0), ("rf/state", 0)] {
        let mut commands = Commands::default();
        commands.record(at(0), "cmnd/rf/RfCode", "#2E54A8", false);
        commands.answer(at(900), "tele/rf/RESULT", "{\"RfReceived\":{}}", true, Moment::Any);
        assert_eq!(told(&commands, &[own], "STATE"), expected, "{own}");
    }
}

#[test]
fn a_light_that_is_told_what_it_is_owes_no_answer() {
    for (topic, first, second, expected) in [
        ("wled/desk", "40", "138", 1),
        ("wled/desk", "40", "40.0", 0),
        ("wled/desk", "40", "ON", 0),
        ("wled/desk", "OFF", "7", 0),
        ("wled/desk/api", "A=40", "A=138", 1),
        ("wled/desk/api", "A=40", "T=1", 0),
    ] {
        let mut commands = Commands::default();
        commands.record(at(0), topic, first, false);
        commands.answer(at(100), "wled/desk/g", first, true, Moment::Any);
        commands.record(at(100_000), topic, second, false);
        let told = told(&commands, &["wled/desk/status", "wled/desk/g"], "status");
        assert_eq!(told, expected, "{first} {second}");
    }
}

#[test]
fn the_next_beat_is_no_answer_where_others_were_answered_at_once() {
    for (first, second, told_next, moment, expected) in [
        (80, "off", "{}", Moment::Due, 1),
        (80, "off", "OFF", Moment::Due, 0),
        (80, "on", "{}", Moment::Due, 0),
        (80, "{\"get\":\"all\"}", "{}", Moment::Due, 0),
        (80, "off", "{}", Moment::Any, 0),
        (3000, "off", "{}", Moment::Due, 0),
        (80, "off", "{}", Moment::Early, 0),
    ] {
        let mut commands = Commands::default();
        commands.record(at(0), "s/command/switch:0", "on", false);
        commands.answer(at(first), "s/status/switch:0", "{}", true, Moment::Any);
        commands.record(at(100_000), "s/command/switch:0", second, false);
        commands.answer(at(104_000), "s/status/switch:0", told_next, true, moment);
        assert_eq!(told(&commands, &["s/status/switch:0"], ":0"), expected, "{first} {second} {told_next} {moment:?}");
        commands.answer(at(106_000), "s/status/switch:0", "{}", true, Moment::Early);
        assert_eq!(told(&commands, &["s/status/switch:0"], ":0"), 0, "it took its time");
    }
}

#[test]
fn a_call_is_answered_where_it_came_from_by_its_number() {
    for (to, answers, expected) in [
        ("s/rpc", &[][..], 0),
        ("s/rpc", &[("mon/rpc", r#"{"id":12,"src":"s","result":{}}"#)], 0),
        ("s/rpc", &[("mon/rpc", r#"{"id":11,"src":"s","result":{}}"#)], 1),
        ("s/rpc", &[("other/rpc", r#"{"id":11}"#), ("s/rpc", r#"{"id":12}"#)], 0),
        ("s/rpc", &[("mon/rpc", r#"{"id":12,"src":"shellyplus1-a8"}"#)], 0),
        ("shellyplus1-a8/rpc", &[("mon/rpc", r#"{"id":12,"src":"shellyplus1-a8"}"#)], 0),
        ("shellyplus1-a8/rpc", &[("mon/rpc", r#"{"id":12,"src":"shellyplus1-b9"}"#)], 1),
    ] {
        let mut commands = Commands::default();
        commands.record(at(0), to, r#"{"id":12,"src":"mon","method":"Switch.Set"}"#, false);
        answers.iter().for_each(|(topic, payload)| commands.answer_call(at(90), topic, payload.as_bytes()));
        assert_eq!(told(&commands, &["s/events/rpc"], "rpc"), expected, "{to} {answers:?}");
    }
}

#[test]
fn who_says_again_what_was_asked_for_has_answered_on_whatever_topic() {
    for (asked, told_next, expected) in [
        (r#"[{"uid":539,"value":2}]"#, r#"{"uid":539,"value":2,"result":"ok"}"#, 0),
        (r#"[{"uid":539,"value":2}]"#, r#"{"uid":539,"value":1}"#, 1),
        (r#"{"cmd":"calibrate","corr":"k291"}"#, r#"{"type":"started","corr":"k291"}"#, 0),
        (r#"{"cmd":"calibrate","corr":"k291"}"#, r#"{"type":"started","corr":"k290"}"#, 1),
        (r#"{"cmd":"calibrate","name":"k"}"#, r#"{"type":"started","name":"k"}"#, 1),
        (r#"{"value":2}"#, r#"{"value":2,"uid":1}"#, 1),
    ] {
        let mut commands = Commands::default();
        commands.record(at(0), "oven/set", asked, false);
        commands.answer(at(900), "oven/event", told_next, false, Moment::Due);
        assert_eq!(told(&commands, &["oven/event"], "event"), expected, "{asked} {told_next}");
    }
}
