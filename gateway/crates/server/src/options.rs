//! The command line and the environment: the only place that reads either.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::log::Level;

/// What `--help` prints.
pub const HELP: &str = "\
Serve model calls: authenticate, reserve, route, relay, settle, record.

Usage: airside gateway [OPTIONS]

Configuration comes from a control plane (--control and --join-token-file) or from a file (--snapshot).

Options:
  --listen ADDRESS        Address and port to serve on [127.0.0.1:7710]; port 0 takes a free one
  --socket PATH           Also serve on this unix socket, for sandboxes without a network
  --data DIR              Directory for the journal spool, the last good snapshot and the gateway's id
  --control URL           Base URL of the control plane
  --join-token-file FILE  File with the token that this gateway shows the control plane
  --snapshot FILE         Serve from this snapshot, without a control plane; read again when it changes or on SIGHUP
  --ca-file FILE          PEM certificates to trust beside the system's
  --ready-file PATH       Write the ready line there too
  --workers N             Threads that serve calls [one per processor]
  --drain-seconds N       How long calls under way may go on after SIGTERM [30]
  --spool-bytes N         Most bytes of journal kept on disk; calls are refused beyond [1073741824]
  --body-bytes N          Most bytes of bodies kept on disk, where a project records them [268435456]
  --take-over             Take over from the gateway that serves from --data, without a refused or cut call
  --otlp-endpoint URL     Collector of OpenTelemetry's that gets a span of every call [OTEL_EXPORTER_OTLP_ENDPOINT]
  --otlp-headers LIST     What it is sent, as name=value,name=value [OTEL_EXPORTER_OTLP_HEADERS]
  --log-level LEVEL       error, warn or info [info]
  --json                  As it is without: what programs read is JSON
  --version               Print the version
  -h, --help              Print this

Each option can also be set in the environment: AIRSIDE_GATEWAY_LISTEN for --listen, and so on.
When it serves, one line of JSON on standard output says where: {\"url\", \"socket\", \"pid\", \"gateway_id\"}.
";

/// Where the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A control plane.
    Control {
        /// Its base URL.
        url: String,
        /// What the gateway shows it.
        join_token: JoinToken,
    },
    /// A file.
    File(PathBuf),
}

/// The secret shared with the control plane. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken(pub String);

impl std::fmt::Debug for JoinToken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("JoinToken")
    }
}

/// Everything the gateway is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to serve.
    pub listen: SocketAddr,
    /// And on which unix socket.
    pub socket: Option<PathBuf>,
    /// Where its own files are.
    pub data: PathBuf,
    /// Where its configuration comes from.
    pub source: Source,
    /// Certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Where to write the ready line too.
    pub ready_file: Option<PathBuf>,
    /// Threads that serve calls.
    pub workers: usize,
    /// How long calls may go on after SIGTERM.
    pub drain: Duration,
    /// Most bytes of journal on disk.
    pub spool_bytes: u64,
    /// Most bytes of bodies on disk.
    pub body_bytes: u64,
    /// Take over from the gateway that serves from the same directory, if there is one.
    pub take_over: bool,
    /// Where spans of calls go.
    pub collector: Option<Collector>,
    /// What is logged.
    pub log_level: Level,
}

/// A collector of OpenTelemetry's. Its `Debug` shows no header's value.
#[derive(Clone)]
pub struct Collector {
    /// Its base URL, without `/v1/traces`.
    pub url: String,
    /// Sent with every export.
    pub headers: HeaderMap,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Collector")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Serve(Box<Options>),
    /// Print this text and leave.
    Print(String),
}

/// A command line that makes no sense; a sentence for people.
#[derive(Debug, PartialEq, Eq)]
pub struct BadUsage(pub String);

/// An environment variable's value, for options and for credentials that a snapshot file names.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    let value = std::env::var(name);
    value.ok().filter(|value| !value.is_empty())
}

/// The names of the options that take a value.
const VALUED: [&str; 15] = [
    "listen",
    "socket",
    "data",
    "control",
    "join-token-file",
    "snapshot",
    "ca-file",
    "ready-file",
    "workers",
    "drain-seconds",
    "spool-bytes",
    "body-bytes",
    "otlp-endpoint",
    "otlp-headers",
    "log-level",
];

#[derive(Default)]
struct Given {
    take_over: bool,
    values: Vec<(&'static str, String)>,
}

impl Given {
    fn take(&self, name: &'static str, environment: &impl Fn(&str) -> Option<String>) -> Option<String> {
        let given = self
            .values
            .iter()
            .rev()
            .find(|(option, _)| *option == name)
            .map(|(_, value)| value.clone());
        given.or_else(|| {
            let variable = format!("AIRSIDE_GATEWAY_{}", name.to_ascii_uppercase().replace('-', "_"));
            environment(&variable)
        })
    }
}

/// Read the arguments that follow the program's name.
///
/// # Errors
/// `BadUsage` with a sentence that names the option.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Command, BadUsage> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut given = Given::default();
    while let Some(argument) = parser.next().map_err(|error| BadUsage(error.to_string()))? {
        match argument {
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => return Ok(Command::Print(HELP.to_owned())),
            lexopt::Arg::Long("version") => {
                return Ok(Command::Print(format!(
                    "airside-gateway {}\n",
                    env!("CARGO_PKG_VERSION")
                )));
            }
            lexopt::Arg::Long("take-over") => given.take_over = true,
            lexopt::Arg::Long("json") => {}
            lexopt::Arg::Long(name) => {
                let known = VALUED.iter().find(|valued| **valued == name).copied();
                let Some(known) = known else {
                    return Err(BadUsage(format!("there is no option '--{name}'; see --help")));
                };
                let value = parser
                    .value()
                    .map_err(|_| BadUsage(format!("--{known} needs a value")))?;
                let value = value
                    .into_string()
                    .map_err(|_| BadUsage(format!("--{known}: the value is not UTF-8")))?;
                given.values.push((known, value));
            }
            other => return Err(BadUsage(format!("{}; see --help", other.unexpected()))),
        }
    }
    build(&given, &environment).map(|options| Command::Serve(Box::new(options)))
}

fn build(given: &Given, environment: &impl Fn(&str) -> Option<String>) -> Result<Options, BadUsage> {
    let take = |name| given.take(name, environment);
    let listen = take("listen").unwrap_or_else(|| "127.0.0.1:7710".to_owned());
    let listen = listen.parse().map_err(|_| {
        BadUsage(format!(
            "--listen: '{listen}' is not an address with a port, such as 127.0.0.1:7710"
        ))
    })?;
    let data = take("data").ok_or_else(|| BadUsage("--data is needed: a directory for the gateway's files".into()))?;
    let workers = number("workers", take("workers"))?.map_or_else(default_workers, |workers| workers.max(1));
    Ok(Options {
        listen,
        socket: take("socket").map(PathBuf::from),
        data: data.into(),
        source: source(take("control"), take("join-token-file"), take("snapshot"))?,
        ca_file: take("ca-file").map(PathBuf::from),
        ready_file: take("ready-file").map(PathBuf::from),
        workers: usize::try_from(workers).unwrap_or(1),
        drain: Duration::from_secs(number("drain-seconds", take("drain-seconds"))?.unwrap_or(30)),
        body_bytes: number("body-bytes", take("body-bytes"))?.unwrap_or(256 << 20),
        spool_bytes: number("spool-bytes", take("spool-bytes"))?
            .unwrap_or(1 << 30)
            .max(1 << 20),
        take_over: given.take_over || take("take-over").is_some(),
        collector: collector(
            take("otlp-endpoint").or_else(|| environment("OTEL_EXPORTER_OTLP_ENDPOINT")),
            take("otlp-headers")
                .or_else(|| environment("OTEL_EXPORTER_OTLP_HEADERS"))
                .as_deref(),
        )?,
        log_level: level(take("log-level").as_deref())?,
    })
}

/// The headers are written `name=value,name=value`, as OpenTelemetry's own variable has them.
fn collector(url: Option<String>, headers: Option<&str>) -> Result<Option<Collector>, BadUsage> {
    let Some(url) = url else { return Ok(None) };
    airside_providers::Endpoint::parse(&url).map_err(|error| BadUsage(format!("--otlp-endpoint: {error}")))?;
    let mut parsed = HeaderMap::new();
    for pair in headers.iter().flat_map(|headers| headers.split(',')) {
        let header = pair.split_once('=').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let (name, value) = header.ok_or_else(|| BadUsage("--otlp-headers: write name=value,name=value".into()))?;
        parsed.insert(name, value);
    }
    Ok(Some(Collector {
        url: url.trim_end_matches('/').to_owned(),
        headers: parsed,
    }))
}

fn source(control: Option<String>, token_file: Option<String>, file: Option<String>) -> Result<Source, BadUsage> {
    match (control, token_file, file) {
        (None, None, Some(file)) => Ok(Source::File(file.into())),
        (Some(url), Some(token_file), None) => {
            let token = std::fs::read_to_string(&token_file)
                .map_err(|error| BadUsage(format!("--join-token-file: cannot read '{token_file}': {error}")))?;
            let token = token.trim().to_owned();
            if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(BadUsage(format!("--join-token-file: '{token_file}' holds no token")));
            }
            airside_providers::Endpoint::parse(&url).map_err(|error| BadUsage(format!("--control: {error}")))?;
            Ok(Source::Control {
                url: url.trim_end_matches('/').to_owned(),
                join_token: JoinToken(token),
            })
        }
        (Some(_), None, None) => Err(BadUsage("--control needs --join-token-file".into())),
        (None, Some(_), _) => Err(BadUsage("--join-token-file needs --control".into())),
        (None, None, None) => Err(BadUsage("give --control and --join-token-file, or --snapshot".into())),
        (Some(_), _, Some(_)) => Err(BadUsage("--control and --snapshot exclude each other".into())),
    }
}

fn number(name: &str, value: Option<String>) -> Result<Option<u64>, BadUsage> {
    let parse = |value: String| {
        value
            .parse()
            .map_err(|_| BadUsage(format!("--{name}: '{value}' is not a whole number")))
    };
    value.map(parse).transpose()
}

fn level(value: Option<&str>) -> Result<Level, BadUsage> {
    match value {
        None | Some("info") => Ok(Level::Info),
        Some("warn") => Ok(Level::Warn),
        Some("error") => Ok(Level::Error),
        Some(other) => Err(BadUsage(format!(
            "--log-level: '{other}' is not one of error, warn, info"
        ))),
    }
}

fn default_workers() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Command, BadUsage> {
        let variable = |name: &str| (name == "AIRSIDE_GATEWAY_SPOOL_BYTES").then(|| "2000000".to_owned());
        parse(arguments.iter().map(OsString::from), variable)
    }

    fn options(arguments: &[&str]) -> Options {
        match read(arguments).unwrap() {
            Command::Serve(options) => *options,
            Command::Print(text) => panic!("{text}"),
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let given = options(&["--data", "/d", "--snapshot=/s.json", "--listen", "127.0.0.1:0"]);
        assert_eq!((given.listen.port(), given.spool_bytes), (0, 2_000_000));
        let given = options(&["--data", "/d", "--snapshot", "/s.json", "--spool-bytes", "3000000"]);
        assert_eq!((given.listen.port(), given.spool_bytes), (7710, 3_000_000));
        assert_eq!(given.source, Source::File("/s.json".into()));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (arguments, word) in [
            (&["--data", "/d"][..], "--control"),
            (&["--snapshot", "/s"], "--data"),
            (
                &["--data", "/d", "--snapshot", "/s", "--control", "http://x"],
                "exclude",
            ),
            (&["--data", "/d", "--control", "http://x"], "--join-token-file"),
            (&["--data", "/d", "--snapshot", "/s", "--listen", "7710"], "--listen"),
            (&["--data", "/d", "--snapshot", "/s", "--workers", "two"], "--workers"),
            (
                &["--data", "/d", "--snapshot", "/s", "--log-level", "loud"],
                "--log-level",
            ),
            (&["--nonsense"], "--nonsense"),
            (&["serve"], "serve"),
            (&["--data"], "--data"),
        ] {
            let BadUsage(sentence) = read(arguments).unwrap_err();
            assert!(sentence.contains(word), "{sentence}");
        }
    }

    #[test]
    fn every_option_is_in_the_help() {
        for name in VALUED {
            assert!(HELP.contains(&format!("--{name} ")), "{name}");
        }
    }
}
