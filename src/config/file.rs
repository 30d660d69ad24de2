//! The configuration file: JSON, read once at the start. Every error names the key and its place, and repeats no value:
//! any of them may be a password in the wrong place.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::object::Object;
use super::{Broker, Config, Environment, check_name};
use crate::limits::*;
use crate::mqtt::policy::{List, Origin, Policy};
use crate::mqtt::tls::TlsOptions;
use crate::mqtt::url::{self, Credentials};
use crate::mqtt::wire;
use crate::secret::{Secret, redacted};

/// Reads the file into `config`; gives where it wants the audit. Paths in it are relative to the file's own directory.
pub(super) fn read(path: &Path, environment: &Environment, config: &mut Config) -> Result<Option<PathBuf>, String> {
    let said = |what: String| format!("{}: {what}", path.display());
    let mut file = File::open(path).map_err(|error| said(format!("cannot be opened: {}", plain(&error))))?;
    let text = bounded(&mut file, CONFIG_MAX_BYTES).map_err(|what| said(what.to_owned()))?;
    let text = std::str::from_utf8(&text).map_err(|_| said("is not UTF-8".to_owned()))?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        // The library's own words may have a piece of the text in them.
        said(format!("is not JSON: the fault is in line {}, column {}", error.line(), error.column()))
    })?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut reader = Reader { environment, directory, config, holds_password: false };
    let audit = reader.top(raw).map_err(said)?;
    let mode = file.metadata().map_or(0, |facts| facts.permissions().mode() & 0o777);
    if reader.holds_password && mode & 0o044 != 0 {
        let path = path.display();
        config.warnings.push(format!("{path} holds a password and others can read it (mode {mode:o}): chmod 600 it"));
    }
    Ok(audit)
}

struct Reader<'a> {
    environment: &'a Environment,
    directory: &'a Path,
    config: &'a mut Config,
    holds_password: bool,
}

impl Reader<'_> {
    fn top(&mut self, raw: &RawValue) -> Result<Option<PathBuf>, String> {
        let top = Object::read("", raw, &["brokers", "policy", "limits", "audit"])?;
        if let Some(raw) = top.get("brokers") {
            for (name, place, raw) in Object::members("brokers", raw)? {
                check_name(&name).map_err(|what| format!("{place}: {what}"))?;
                let broker = self.broker(&place, raw)?;
                self.config.set_broker(name, broker);
            }
        }
        if let Some(raw) = top.get("policy") {
            policy(raw, &mut self.config.policy)?;
        }
        if let Some(raw) = top.get("limits") {
            let known = ["max_sessions", "session_ttl_seconds", "max_publishes_per_minute"];
            let limits = Object::read("limits", raw, &known)?;
            if let Some(count) = limits.number("max_publishes_per_minute", 1, PUBLISHES_PER_MINUTE_MAX.into())? {
                self.config.publishes_per_minute = count as u32;
            }
            if let Some(count) = limits.number("max_sessions", 1, SESSIONS_MAX as u64)? {
                self.config.max_sessions = count as usize;
            }
            if let Some(seconds) = limits.number("session_ttl_seconds", 1, SESSION_TTL_MAX_SECONDS)? {
                self.config.session_ttl = std::time::Duration::from_secs(seconds);
            }
        }
        Ok(top.text("audit")?.map(|path| self.directory.join(path)))
    }

    fn broker(&mut self, place: &str, raw: &RawValue) -> Result<Broker, String> {
        let broker = Object::read(place, raw, BROKER_KEYS)?;
        let url = broker.secret("url")?.ok_or_else(|| format!("{place}.url is missing"))?;
        let mut target = url::parse(&url).map_err(|what| broker.wrong("url", what))?;
        self.holds_password |= target.credentials.password.is_some();
        self.credentials(&broker, &mut target.credentials)?;
        if let Some(client_id) = broker.text("client_id")? {
            wire::check_string(&client_id).map_err(|what| broker.wrong("client_id", what))?;
            target.client_id = Some(client_id);
        }
        let description = broker.text("description")?.map(redacted);
        if description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_MAX_BYTES) {
            return Err(broker.wrong("description", &format!("must have at most {DESCRIPTION_MAX_BYTES} bytes")));
        }
        let keep_alive_seconds = broker.number("keep_alive_seconds", 0, u16::MAX.into())?.map(|seconds| seconds as u16);
        let tls = self.tls(&broker, target.tls)?;
        Ok(Broker { target, tls, description, keep_alive_seconds })
    }

    fn credentials(&mut self, broker: &Object<'_>, credentials: &mut Credentials) -> Result<(), String> {
        if let Some(username) = broker.text("username")? {
            if credentials.username.is_some() {
                return Err(broker.wrong("username", "is given a second time: the url has one"));
            }
            wire::check_string(&username).map_err(|what| broker.wrong("username", what))?;
            credentials.username = Some(username);
        }
        let given: Vec<_> =
            ["password", "password_file", "password_env"].into_iter().filter(|key| broker.get(key).is_some()).collect();
        let Some(key) = given.first() else { return Ok(()) };
        if credentials.password.is_some() {
            return Err(broker.wrong(key, "is given a second time: the url has a password"));
        }
        if let Some(second) = given.get(1) {
            return Err(broker.wrong(second, &format!("must not be given together with {key}")));
        }
        if credentials.username.is_none() {
            return Err(broker.wrong(key, "needs a username, without which MQTT 3.1.1 allows no password"));
        }
        let mut password = match *key {
            "password" => {
                self.holds_password = true;
                bytes_of(broker.secret(key)?)
            }
            "password_file" => self.password_file(broker)?,
            _ => self.password_variable(broker)?,
        };
        if password.len() > STRING_MAX_BYTES {
            return Err(broker.wrong(key, "gives a password of more than 65535 bytes"));
        }
        credentials.password = Some(Secret::new(std::mem::take(&mut password)));
        Ok(())
    }

    fn password_file(&self, broker: &Object<'_>) -> Result<Zeroizing<Vec<u8>>, String> {
        let key = "password_file";
        let path = self.file(broker, key)?.unwrap_or_default();
        let file = File::open(path).map_err(|error| broker.wrong(key, &format!("cannot be read: {}", plain(&error))));
        // The end of a line is the editor's, not the password's.
        let mut bytes = bounded(&mut file?, STRING_MAX_BYTES + 2).map_err(|what| broker.wrong(key, what))?;
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        Ok(bytes)
    }

    fn password_variable(&self, broker: &Object<'_>) -> Result<Zeroizing<Vec<u8>>, String> {
        let key = "password_env";
        // Its name is not repeated: somebody may have written the password itself.
        let name = broker.secret(key)?.unwrap_or_default();
        let value = self.environment.iter().find(|(known, _)| known.as_encoded_bytes() == name.as_bytes());
        let (_, value) = value.ok_or_else(|| broker.wrong(key, "names a variable that is not set"))?;
        Ok(Zeroizing::new(value.as_encoded_bytes().to_vec()))
    }

    fn tls(&self, broker: &Object<'_>, is_wanted: bool) -> Result<TlsOptions, String> {
        if let Some(key) = TLS_KEYS.iter().find(|key| broker.get(key).is_some()).filter(|_| !is_wanted) {
            return Err(broker.wrong(key, "needs a url with mqtts://"));
        }
        let options = TlsOptions {
            ca_file: self.file(broker, "ca_file")?,
            cert_file: self.file(broker, "cert_file")?,
            key_file: self.file(broker, "key_file")?,
            server_name: broker.text("server_name")?,
            fingerprint_sha256: broker
                .text("fingerprint_sha256")?
                .map(|text| fingerprint(broker, &text))
                .transpose()?,
            alpn: broker.flag("alpn")?.unwrap_or(false),
        };
        match (&options.cert_file, &options.key_file) {
            (Some(_), None) => Err(broker.wrong("cert_file", "needs a key_file")),
            (None, Some(_)) => Err(broker.wrong("key_file", "needs a cert_file")),
            _ => Ok(options),
        }
    }

    /// A path to a file that can be read.
    fn file(&self, broker: &Object<'_>, key: &str) -> Result<Option<PathBuf>, String> {
        let Some(text) = broker.text(key)? else { return Ok(None) };
        let path = self.directory.join(text);
        match File::open(&path).and_then(|file| file.metadata()) {
            Ok(facts) if facts.is_dir() => Err(broker.wrong(key, "is a directory, not a file")),
            Ok(_) => Ok(Some(path)),
            Err(error) => Err(broker.wrong(key, &format!("cannot be read: {}", plain(&error)))),
        }
    }
}

const BROKER_KEYS: &[&str] = &[
    "url",
    "description",
    "username",
    "password",
    "password_file",
    "password_env",
    "ca_file",
    "cert_file",
    "key_file",
    "server_name",
    "fingerprint_sha256",
    "alpn",
    "client_id",
    "keep_alive_seconds",
];
const TLS_KEYS: &[&str] = &["ca_file", "cert_file", "key_file", "server_name", "fingerprint_sha256", "alpn"];

fn policy(raw: &RawValue, policy: &mut Policy) -> Result<(), String> {
    let rules = Object::read("policy", raw, &["read_only", "profiles_only", "brokers", "publish", "subscribe"])?;
    if rules.flag("read_only")? == Some(true) {
        policy.read_only(Origin::File);
    }
    if rules.flag("profiles_only")? == Some(true) {
        policy.profiles_only(Origin::File);
    }
    for (place, text) in rules.texts("brokers", true)? {
        policy.allow_broker(&text, Origin::File).map_err(|what| format!("{place} {what}"))?;
    }
    for (key, allow, deny) in
        [("publish", List::AllowPublish, List::DenyPublish), ("subscribe", List::AllowSubscribe, List::DenySubscribe)]
    {
        let Some(raw) = rules.get(key) else { continue };
        let lists = Object::read(&format!("policy.{key}"), raw, &["allow", "deny"])?;
        for (key, list) in [("allow", allow), ("deny", deny)] {
            for (place, filter) in lists.texts(key, list == allow)? {
                policy.add(list, &filter, Origin::File).map_err(|what| format!("{place} {what}"))?;
            }
        }
    }
    Ok(())
}

/// 64 hexadecimal digits; openssl writes colons between them.
fn fingerprint(broker: &Object<'_>, text: &str) -> Result<[u8; 32], String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let mut bytes = [0; 32];
    match base16ct::mixed::decode(&digits, &mut bytes) {
        Ok(whole) if whole.len() == 32 => Ok(bytes),
        _ => Err(broker.wrong("fingerprint_sha256", "must be the 64 hexadecimal digits of a SHA-256")),
    }
}

/// The bytes of a text, without a copy.
fn bytes_of(text: Option<Zeroizing<String>>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(std::mem::take(&mut *text.unwrap_or_default()).into_bytes())
}

/// Reads all of a file into memory that is wiped and never moves.
fn bounded(file: &mut File, max_bytes: usize) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let mut bytes = Zeroizing::new(vec![0; max_bytes + 1]);
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Err("cannot be read"),
        }
    }
    if length > max_bytes {
        return Err("is too large");
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// An I/O error in plain words.
fn plain(error: &std::io::Error) -> String {
    crate::mqtt::link::plain(error)
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
