//! Flags, environment and configuration file, checked once.

mod file;
mod object;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use log::LevelFilter;

use crate::audit::Audit;
use crate::limits::{
    PUBLISHES_PER_MINUTE_DEFAULT, PUBLISHES_PER_MINUTE_MAX, SESSION_TTL_DEFAULT_SECONDS, SESSION_TTL_MAX_SECONDS,
    SESSIONS_DEFAULT, SESSIONS_MAX,
};
use crate::mqtt::link::plain;
use crate::mqtt::policy::{List, Origin, Policy};
use crate::mqtt::tls::TlsOptions;
use crate::mqtt::url::{self, Target};

/// What `--help` shows.
pub const HELP: &str = "\
mqtt-mcp lets AI assistants work with MQTT: an MCP server on stdin and stdout.

mqtt-mcp [OPTIONS]            serve; an MCP client starts it, logs go to stderr
mqtt-mcp check URL|NAME       try a broker; the exit code is 0 when it is well
mqtt-mcp demo                 see it work, on a broker of its own
mqtt-mcp tools [--json]       show the tools with their parameters

--config FILE                 brokers, policy, limits (README); MQTT_MCP_CONFIG
--broker NAME=URL *           a broker that tools reach by name; `ps` shows it,
                              but not the variable MQTT_MCP_BROKER_<NAME>=URL
--demo                        adds the broker demo: a playground in this process
--read-only                   tools that publish are left out
--profiles-only               brokers by name alone, no connection strings
--allow-broker HOST[:PORT] *  other brokers are refused
--allow-publish FILTER *, --deny-publish FILTER *
--allow-subscribe FILTER *, --deny-subscribe FILTER *
                              deny wins; without an allow list all is allowed
--max-publishes-per-minute N  of each session (default 6000)
--audit FILE                  a JSON line per connect, publish and refusal
--max-sessions N              open sessions, 1 to 64 (default 5)
--session-ttl SECONDS         their life without use, 1 to 86400 (default 3600)
--log LEVEL, or MQTT_MCP_LOG  error, warn (default), info, debug or trace
--version, --help             (* may be given several times)
URL: mqtt://[user[:password]@]host[:port][/client_id], with percent-encoding
";

/// What the command line asks for.
pub enum Command {
    /// Serve on stdin and stdout.
    Serve(Box<Config>),
    /// Print this and end.
    Print(String),
    /// Try a broker: a connection string, or the name of a configured one.
    #[cfg(feature = "analysis")]
    Check(Box<Config>, String),
    /// Play the tour on the demo broker.
    #[cfg(feature = "demo")]
    Demo,
    /// Show the tools that this configuration leaves: as JSON when true, otherwise for a person.
    Tools(Box<Config>, bool),
}

/// How to serve.
#[derive(Debug)]
pub struct Config {
    /// The most open sessions.
    pub max_sessions: usize,
    /// Life of a session without use.
    pub session_ttl: Duration,
    /// Configured brokers, sorted by name.
    pub brokers: Vec<(String, Broker)>,
    /// What may be done on brokers.
    pub policy: Policy,
    /// What is written down of what was done.
    pub audit: Audit,
    /// Messages that a session may publish within a minute.
    pub publishes_per_minute: u32,
    /// Whether the demo broker is one of them.
    pub demo: bool,
    /// What is logged.
    pub log: LevelFilter,
    /// What a person should know, to be logged.
    pub warnings: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_sessions: SESSIONS_DEFAULT,
            session_ttl: Duration::from_secs(SESSION_TTL_DEFAULT_SECONDS),
            brokers: Vec::new(),
            policy: Policy::default(),
            audit: Audit::default(),
            publishes_per_minute: PUBLISHES_PER_MINUTE_DEFAULT,
            demo: false,
            log: LevelFilter::Warn,
            warnings: Vec::new(),
        }
    }
}

/// A configured broker.
#[derive(Debug)]
pub struct Broker {
    /// Where it is, and as whom to connect.
    pub target: Target,
    /// What is wanted of TLS, if the target wants TLS.
    pub tls: TlsOptions,
    /// For the model.
    pub description: Option<String>,
    /// Unless a call says otherwise.
    pub keep_alive_seconds: Option<u16>,
}

impl From<Target> for Broker {
    fn from(target: Target) -> Self {
        Self { target, tls: TlsOptions::default(), description: None, keep_alive_seconds: None }
    }
}

/// Names and values of the environment.
type Environment = Vec<(OsString, OsString)>;

/// What flags say, until it is known what lies below them.
#[derive(Default)]
struct Flags {
    config: Option<PathBuf>,
    audit: Option<PathBuf>,
    publishes_per_minute: Option<u32>,
    max_sessions: Option<usize>,
    session_ttl: Option<Duration>,
    demo: bool,
    json: bool,
    log: Option<LevelFilter>,
    brokers: Vec<(String, Target)>,
}

/// Reads flags, environment and configuration file, in this order of precedence: a broker that several of them have is
/// taken as a whole from the first, so that no password goes to another's address. Rules of the policy add up. The
/// error is one line that names what is wrong, and never a value that may hold a password.
pub fn read(
    flags: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Command, String> {
    let mut config = Config::default();
    let (mut words, mut bare) = (Vec::new(), true);
    let mut parser = Parser::from_iter(flags);
    let mut flags = Flags::default();
    while let Some(flag) = parser.next().map_err(unexpected)? {
        bare &= matches!(flag, Arg::Value(_));
        let name = match flag {
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Print(HELP.into())),
            Arg::Long("version") | Arg::Short('V') => {
                return Ok(Command::Print(format!("mqtt-mcp {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Arg::Long(name) => format!("--{name}"),
            Arg::Short(name) => return Err(format!("unknown option -{name}; mqtt-mcp --help shows the options")),
            Arg::Value(word) => {
                words.push(word.string().map_err(|_| "an argument is not UTF-8")?);
                continue;
            }
        };
        if !flags.take(&name, &mut parser)? && !add_rule(&mut config.policy, &name, &mut parser)? {
            return Err(format!("unknown option {name}; mqtt-mcp --help shows the options"));
        }
    }
    let environment: Environment = environment.into_iter().collect();
    let mut audit = None;
    if let Some(path) = flags.config.take().or_else(|| file_of(&environment)) {
        audit = file::read(&path, &environment, &mut config)?;
    }
    if let Some(path) = flags.audit.take().or(audit) {
        let opened = Audit::to(&path);
        config.audit = opened.map_err(|error| format!("the audit file cannot be opened: {}", plain(&error)))?;
    }
    for (name, value) in &environment {
        read_variable(&mut config, &name.to_string_lossy(), &value.to_string_lossy())?;
    }
    let json = flags.json;
    flags.apply(&mut config);
    if config.demo && config.brokers.iter().any(|(name, _)| name == "demo") {
        return Err("--demo: another broker has the name demo".into());
    }
    command(Box::new(config), &words, json, bare)
}

/// What the words on the command line ask for. None is repeated: one that is in the wrong place may hold a password.
fn command(config: Box<Config>, words: &[String], json: bool, bare: bool) -> Result<Command, String> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        _ if json && words != ["tools"] => Err("--json goes with mqtt-mcp tools".into()),
        [] => Ok(Command::Serve(config)),
        #[cfg(feature = "analysis")]
        ["check", target] => Ok(Command::Check(config, target.to_owned())),
        #[cfg(not(feature = "analysis"))]
        ["check", _] => Err("check: this build has no test_connection (cargo feature analysis)".into()),
        ["check", ..] => Err("check takes one argument: a URL or the name of a broker".into()),
        ["demo", ..] if !bare || words.len() > 1 => Err("demo takes no option and no argument".into()),
        #[cfg(feature = "demo")]
        ["demo", ..] => Ok(Command::Demo),
        #[cfg(not(feature = "demo"))]
        ["demo", ..] => Err("demo: this build has no demo broker (cargo feature demo)".into()),
        ["tools"] => Ok(Command::Tools(config, json)),
        ["tools", ..] => Err("tools takes no argument".into()),
        _ => Err("unexpected argument; mqtt-mcp --help shows what there is".into()),
    }
}

impl Config {
    /// Adds a broker, or replaces the one of that name.
    pub fn set_broker(&mut self, name: String, broker: Broker) {
        match self.brokers.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(index) => self.brokers[index].1 = broker,
            Err(index) => self.brokers.insert(index, (name, broker)),
        }
    }
}

impl Flags {
    /// Takes a flag of that name with its value; false when it is none of these.
    fn take(&mut self, flag: &str, parser: &mut Parser) -> Result<bool, String> {
        match flag {
            "--config" => self.config = Some(value(parser, flag)?.into()),
            "--broker" => self.brokers.push(broker(&value(parser, flag)?)?),
            "--audit" => self.audit = Some(value(parser, flag)?.into()),
            "--max-publishes-per-minute" => {
                let most = PUBLISHES_PER_MINUTE_MAX as usize;
                self.publishes_per_minute = Some(number(&value(parser, flag)?, flag, most)? as u32);
            }
            "--max-sessions" => self.max_sessions = Some(number(&value(parser, flag)?, flag, SESSIONS_MAX)?),
            "--session-ttl" => {
                let seconds = number(&value(parser, flag)?, flag, SESSION_TTL_MAX_SECONDS as usize)?;
                self.session_ttl = Some(Duration::from_secs(seconds as u64));
            }
            "--demo" if cfg!(feature = "demo") => self.demo = true,
            "--demo" => return Err("--demo: this build has no demo broker (cargo feature demo)".into()),
            "--json" => self.json = true,
            "--log" => self.log = Some(level(&value(parser, flag)?, flag)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn apply(self, config: &mut Config) {
        config.publishes_per_minute = self.publishes_per_minute.unwrap_or(config.publishes_per_minute);
        config.max_sessions = self.max_sessions.unwrap_or(config.max_sessions);
        config.session_ttl = self.session_ttl.unwrap_or(config.session_ttl);
        config.demo = self.demo;
        config.log = self.log.unwrap_or(config.log);
        for (name, target) in self.brokers {
            config.set_broker(name, target.into());
        }
    }
}

fn file_of(environment: &Environment) -> Option<PathBuf> {
    let (_, path) = environment.iter().find(|(name, _)| name == "MQTT_MCP_CONFIG")?;
    (!path.is_empty()).then(|| path.into())
}

/// Adds a rule to the policy if the flag is one of its; false when it is not.
fn add_rule(policy: &mut Policy, flag: &str, parser: &mut Parser) -> Result<bool, String> {
    match flag {
        "--read-only" => policy.read_only(Origin::Flag),
        "--profiles-only" => policy.profiles_only(Origin::Flag),
        "--allow-broker" => {
            let added = policy.allow_broker(&value(parser, flag)?, Origin::Flag);
            added.map_err(|what| format!("{flag} {what}"))?;
        }
        _ => {
            let Some(list) = List::ALL.into_iter().find(|list| list.names().0 == flag) else { return Ok(false) };
            let added = policy.add(list, &value(parser, flag)?, Origin::Flag);
            added.map_err(|what| format!("{flag} {what}"))?;
        }
    }
    Ok(true)
}

/// The library's own words would repeat the value.
fn unexpected(error: lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedValue { option, .. } => format!("{option} takes no value"),
        _ => "the options cannot be read; mqtt-mcp --help shows them".into(),
    }
}

fn value(parser: &mut Parser, flag: &str) -> Result<String, String> {
    let value = parser.value().map_err(|_| format!("{flag} needs a value"))?;
    value.string().map_err(|_| format!("{flag} must be UTF-8"))
}

fn number(text: &str, flag: &str, max: usize) -> Result<usize, String> {
    let value = text.parse().ok().filter(|value| (1..=max).contains(value));
    value.ok_or_else(|| format!("{flag} must be a whole number from 1 to {max}"))
}

fn level(text: &str, source: &str) -> Result<LevelFilter, String> {
    match text {
        "error" => Ok(LevelFilter::Error),
        "warn" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        "trace" => Ok(LevelFilter::Trace),
        _ => Err(format!("{source} must be error, warn, info, debug or trace")),
    }
}

fn read_variable(config: &mut Config, name: &str, value: &str) -> Result<(), String> {
    if name == "MQTT_MCP_LOG" {
        config.log = level(value, name)?;
    } else if let Some(broker) = name.strip_prefix("MQTT_MCP_BROKER_") {
        let broker = broker.to_ascii_lowercase();
        check_name(&broker).map_err(|what| format!("{name}: {what}"))?;
        let target = url::parse(value).map_err(|what| format!("{name} {what}"))?;
        config.set_broker(broker, target.into());
    }
    Ok(())
}

fn broker(text: &str) -> Result<(String, Target), String> {
    let form = "--broker must be NAME=URL, as in plant=mqtt://localhost:1883";
    let (name, text) = text.split_once('=').ok_or(form)?;
    // An URL without a name may have a = in its password: do not repeat what may be one.
    check_name(name).map_err(|_| form)?;
    let target = url::parse(text).map_err(|what| format!("--broker {name}: the URL {what}"))?;
    Ok((name.to_owned(), target))
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(valid) {
        return Err("a broker's name has 1 to 64 letters, digits, - _ or .");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[&str], environment: &[(&str, &str)]) -> Result<Config, String> {
        let flags = ["mqtt-mcp"].iter().chain(flags).map(Into::into);
        match read(flags, environment.iter().map(|(name, value)| (name.into(), value.into())))? {
            Command::Serve(config) => Ok(*config),
            Command::Print(text) => Err(text),
            _ => Err("a subcommand".into()),
        }
    }

    #[test]
    fn flags_win_over_the_environment_and_both_over_defaults() {
        let defaults = config(&[], &[("PATH", "/bin")]).expect("config");
        assert_eq!((defaults.max_sessions, defaults.session_ttl.as_secs(), defaults.log), (5, 3600, LevelFilter::Warn));
        let environment = [
            ("MQTT_MCP_LOG", "info"),
            ("MQTT_MCP_BROKER_PLANT_1", "mqtt://env"),
            ("MQTT_MCP_BROKER_LAB", "mqtt://lab"),
        ];
        let flags = ["--log=debug", "--broker", "lab=mqtt://u:p=@flag", "--max-sessions", "64", "--session-ttl", "1"];
        let set = config(&flags, &environment).expect("config");
        assert_eq!((set.max_sessions, set.session_ttl.as_secs(), set.log), (64, 1, LevelFilter::Debug));
        let hosts: Vec<_> =
            set.brokers.iter().map(|(name, broker)| (name.as_str(), broker.target.host.as_str())).collect();
        assert_eq!(hosts, [("lab", "flag"), ("plant_1", "env")]);
    }

    #[test]
    fn each_wrong_flag_is_named_and_no_value_is_repeated() {
        for (flags, named) in [
            (&["--max-sessions", "0"][..], "--max-sessions"),
            (&["--max-sessions", "65"], "--max-sessions"),
            (&["--session-ttl", "s3cret"], "--session-ttl"),
            (&["--session-ttl"], "--session-ttl"),
            (&["--log", "loud"], "--log"),
            (&["--nonsense"], "--nonsense"),
            (&["-x"], "-x"),
            (&["s3cret"], "argument"),
            (&["--broker", "mqtt://u:s3cret@h"], "NAME=URL"),
            (&["--broker", "mqtt://u:s3cret=@h"], "NAME=URL"),
            (&["--broker", "lab=http://s3cret"], "lab"),
            (&["--read-only=s3cret"], "--read-only"),
            (&["--allow-broker", "s3cret:port"], "--allow-broker"),
            (&["--allow-broker", "mqtt://u:s3cret@h"], "--allow-broker"),
            (&["--allow-publish", "s3cret#"], "--allow-publish"),
            (&["--deny-publish", ""], "--deny-publish"),
            (&["--allow-subscribe", "s3cret/+x"], "--allow-subscribe"),
            (&["--deny-subscribe", "$share/g/s3cret"], "--deny-subscribe"),
            (&["--deny-subscribe"], "--deny-subscribe"),
            (&["--broker", "demo=mqtt://s3cret", "--demo"], "--demo"),
        ] {
            let why = config(flags, &[]).expect_err("refused");
            assert!(why.contains(named) && !why.contains("s3cret") && !why.contains('\n'), "{flags:?}: {why}");
        }
        let why = config(&[], &[("MQTT_MCP_BROKER_X", "s3cret")]).expect_err("refused");
        assert!(why.contains("MQTT_MCP_BROKER_X") && !why.contains("s3cret"));
    }

    #[test]
    fn help_fits_a_screen() {
        assert!(HELP.lines().count() <= 24);
        assert!(HELP.lines().all(|line| line.len() <= 80));
    }
}
