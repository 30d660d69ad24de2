//! Connection strings: `mqtt://[user[:password]@]host[:port][/client_id]`, also `mqtts://`.
//!
//! No error repeats a part of the string: any part may turn out to be the password.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::wire;
use crate::secret::Secret;

/// Where to connect and as whom.
#[derive(Debug)]
pub struct Target {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is wanted.
    pub tls: bool,
    /// Client id, if the string has one.
    pub client_id: Option<String>,
    /// User name and password.
    pub credentials: Credentials,
}

/// What CONNECT says of the user.
#[derive(Debug, Default)]
pub struct Credentials {
    /// User name.
    pub username: Option<String>,
    /// Password; MQTT 3.1.1 allows none without a user name (3.1.2.9).
    pub password: Option<Secret>,
}

/// Reads a connection string. The error is a sentence that says what would be right.
pub fn parse(text: &str) -> Result<Target, &'static str> {
    let (scheme, rest) =
        text.split_once("://").ok_or("must start with mqtt:// or mqtts://, as in mqtt://localhost:1883")?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "mqtt" => false,
        "mqtts" => true,
        "tcp" => return Err("must start with mqtt:// (not tcp://)"),
        "ssl" | "tls" => return Err("must start with mqtts:// for TLS"),
        "ws" | "wss" => return Err("WebSockets are not supported: use mqtt:// or mqtts:// with the broker's TCP port"),
        _ => return Err("must start with mqtt:// or mqtts://"),
    };
    if rest.contains(['?', '#']) {
        return Err("must not have ? or #: percent-encode them as %3F and %23");
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    // An @ behind the first slash means that the slash was part of a password.
    if path.contains('@') {
        return Err("has an @ after the first /: percent-encode / in a password as %2F and @ in a client id as %40");
    }
    let (user, address) = match authority.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, authority),
    };
    let (host, port) = split_address(address)?;
    Ok(Target {
        host: host.to_owned(),
        port: port.unwrap_or(if tls { 8883 } else { 1883 }),
        tls,
        client_id: if path.is_empty() { None } else { Some(decoded_text(path)?) },
        credentials: credentials(user)?,
    })
}

pub(super) fn split_address(address: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = if let Some(bracketed) = address.strip_prefix('[') {
        let (host, port) = bracketed.split_once(']').ok_or("has an IPv6 address without its closing ]")?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("has no IPv6 address between [ and ]");
        }
        (host, port)
    } else {
        let end = address.find(':').unwrap_or(address.len());
        (&address[..end], &address[end..])
    };
    if host.is_empty() {
        return Err("has no host, as in mqtt://host:1883");
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':')) {
        return Err(
            "has a host with characters that a host name cannot have; percent-encode special characters in user name and password",
        );
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((host, None)),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => match digits.parse() {
            Ok(port) if port > 0 => Ok((host, Some(port))),
            _ => Err("must have a port from 1 to 65535"),
        },
        _ => Err(
            "must have a port from 1 to 65535; IPv6 addresses stand in [brackets]; percent-encode / : @ in a password",
        ),
    }
}

fn credentials(user: Option<&str>) -> Result<Credentials, &'static str> {
    let Some(user) = user else { return Ok(Credentials::default()) };
    let (name, password) = match user.split_once(':') {
        Some((name, password)) => (name, Some(password)),
        None => (user, None),
    };
    if name.is_empty() {
        return Err("has a password without a user name, which MQTT 3.1.1 does not allow");
    }
    let password = match password {
        None => None,
        Some(password) => Some(Secret::new(decoded(password)?)),
    };
    Ok(Credentials { username: Some(decoded_text(name)?), password })
}

fn decoded_text(part: &str) -> Result<String, &'static str> {
    let bytes = decoded(part)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "has percent-encoded bytes that are not UTF-8")?;
    wire::check_string(text).map_err(|_| "has a control character or too long a part")?;
    Ok(text.to_owned())
}

/// Percent-decodes into memory that is wiped, without a reallocation that would leave a copy.
fn decoded(part: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let stray = part
        .match_indices('%')
        .any(|(at, _)| !part.get(at + 1..at + 3).is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())));
    if stray {
        return Err("has a % that is not followed by two hexadecimal digits: percent-encode it as %25");
    }
    if part.len() > crate::limits::STRING_MAX_BYTES {
        return Err("has a part of more than 65535 bytes");
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(part.len()));
    bytes.extend(percent_decode_str(part));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let target = parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        let password = target.credentials.password.as_ref().map(|p| String::from_utf8_lossy(p.expose()).into_owned());
        format!(
            "{} {} {} {:?} {:?} {:?}",
            target.host, target.port, target.tls, target.client_id, target.credentials.username, password
        )
    }

    #[test]
    fn connection_strings_are_read() {
        for (text, expected) in [
            ("mqtt://localhost", "localhost 1883 false None None None"),
            ("MQTTS://Broker.example", "Broker.example 8883 true None None None"),
            ("mqtt://u:p@h:1", r#"h 1 false None Some("u") Some("p")"#),
            ("mqtt://u@h/id%2F1", r#"h 1883 false Some("id/1") Some("u") None"#),
            ("mqtt://u%40x:p%3A%2F%40%20@h:1883/", r#"h 1883 false None Some("u@x") Some("p:/@ ")"#),
            ("mqtt://u:a@b@h", r#"h 1883 false None Some("u") Some("a@b")"#),
            ("mqtt://u:a:b@h", r#"h 1883 false None Some("u") Some("a:b")"#),
            ("mqtt://u:@h", r#"h 1883 false None Some("u") Some("")"#),
            ("mqtt://[::1]:1884/c", r#"::1 1884 false Some("c") None None"#),
            ("mqtt://[fe80::1]", "fe80::1 1883 false None None None"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn wrong_strings_are_refused_without_repeating_any_of_them() {
        for text in [
            "",
            "localhost",
            "tcp://s3cret",
            "ws://s3cret",
            "ssl://s3cret",
            "http://s3cret",
            "mqtt://",
            "mqtt://:1883",
            "mqtt://h:0",
            "mqtt://h:65536",
            "mqtt://h:",
            "mqtt://h:s3cret",
            "mqtt://u:s3cret/x@h",
            "mqtt://u:12/s3cret@h",
            "mqtt://:s3cret@h",
            "mqtt://u:s3cret%@h",
            "mqtt://u:s3cret%zz@h",
            "mqtt://u:s3cret%é@h",
            "mqtt://%ff:s3cret@h",
            "mqtt://u:p@h/%00s3cret",
            "mqtt://[::1",
            "mqtt://[s3cret]",
            "mqtt://::1",
            "mqtt://u:s3cret@h?x=1",
            "mqtt://u:s3cret#1@h",
            "mqtt://u s3cret",
        ] {
            let why = parse(text).expect_err(text);
            assert!(!why.contains("s3cret"), "{text}: {why}");
        }
    }

    #[test]
    fn a_target_does_not_print_its_password() {
        let target = parse("mqtt://u:hunter2@h").expect("target");
        assert!(!format!("{target:?}").contains("hunter2"));
    }
}
