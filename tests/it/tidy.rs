//! The invariants of the architecture, held by a search over the source.

use std::path::{Path, PathBuf};

use crate::support::root;

/// A source file without its tests.
struct Source {
    /// Its path below `src`, with `/`.
    name: String,
    /// Production code, comments blanked: words there are free.
    code: Vec<String>,
    /// Production lines as they stand.
    lines: usize,
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn below(directory: &str) -> Vec<(String, String)> {
    let base = root().join(directory);
    let mut found = Vec::new();
    files(&base, &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(&base).expect("below").to_string_lossy().replace('\\', "/");
    found.iter().map(|path| (name(path), std::fs::read_to_string(path).expect("a source file"))).collect()
}

fn sources() -> Vec<Source> {
    let of = |(name, text): (String, String)| {
        let production = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let production = production.split("\n#[cfg(test)]\n#[path").next().unwrap_or_default();
        let code = production.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned()).collect();
        Source { name, code, lines: production.lines().count() }
    };
    let sources: Vec<_> = below("src").into_iter().filter(|(name, _)| !name.ends_with("_tests.rs")).map(of).collect();
    assert!(sources.len() > 20, "the search finds the source");
    sources
}

/// `.await` is a word of its own, unlike `.awaits_something`.
fn stands_in(line: &str, word: &str) -> bool {
    let is_part = |rest: &str| word.starts_with('.') && rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| !is_part(&line[at + word.len()..]))
}

/// Lines with any of `words` in files that `concerns` picks.
fn hits(words: &[&str], concerns: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| concerns(&source.name)) {
        for (number, line) in source.code.iter().enumerate() {
            if words.iter().any(|word| stands_in(line, word)) {
                found.push(format!("{}:{}: {}", source.name, number + 1, line.trim()));
            }
        }
    }
    found
}

#[track_caller]
fn named_only_in(words: &[&str], places: &[&str]) {
    assert_eq!(hits(words, |name| !places.contains(&name)), Vec::<String>::new());
    assert!(!hits(words, |name| places.contains(&name)).is_empty(), "the search for {words:?} finds nothing at all");
}

#[track_caller]
fn never_in(words: &[&str], concerns: impl Fn(&str) -> bool) {
    assert!(sources().iter().any(|source| concerns(&source.name)), "no file is searched");
    assert_eq!(hits(words, concerns), Vec::<String>::new());
}

#[test]
fn sockets_and_file_descriptors_are_named_where_they_are_opened_and_moved() {
    let words = [
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "UnixStream",
        "OwnedFd",
        "BorrowedFd",
        "AsFd",
        "RawFd",
        "smol::net",
        "std::net::Tcp",
    ];
    // The demo broker has sockets of its own, in one file.
    named_only_in(&words, &["stdio.rs", "mqtt/driver.rs", "mqtt/link.rs", "demo/serve.rs"]);
}

#[test]
fn the_codec_is_named_in_one_file_for_each_side() {
    // The product speaks as a client; the demo broker reads what clients send, which has checks of its own.
    named_only_in(&["mqttrs"], &["mqtt/wire.rs", "demo/wire.rs"]);
}

#[test]
fn the_library_for_tls_is_named_below_one_module() {
    never_in(&["rustls", "ring::digest"], |name| !name.starts_with("mqtt/tls/"));
}

#[test]
fn error_numbers_of_json_rpc_stand_in_one_file() {
    named_only_in(&["-32"], &["rpc/error.rs"]);
}

#[test]
fn protocols_are_values_without_clock_or_waiting() {
    let pure = |name: &str| {
        name.starts_with("rpc/")
            || name.starts_with("mcp/")
            || name.starts_with("analysis/")
            || matches!(name, "mqtt/session.rs" | "mqtt/capture.rs" | "mqtt/wire.rs" | "mqtt/inflight.rs")
            || matches!(name, "demo/broker.rs" | "demo/session.rs" | "demo/wire.rs")
    };
    never_in(&[".await", "async fn", "Instant::now", "SystemTime::now", "Now::read", ".elapsed()"], pure);
}

#[test]
fn there_is_one_sort() {
    // analysis/sort.rs does without the library's.
    let words =
        [".sort(", ".sort_by(", ".sort_by_key(", ".sort_unstable(", ".sort_unstable_by(", ".select_nth_unstable("];
    never_in(&words, |_| true);
}

#[test]
fn what_the_library_compiles_anew_for_each_type_is_done_without_it() {
    // Each is 2 to 20 kB of code: sorted.rs has maps and sets, analysis/decimal.rs reads numbers, and JSON is read from
    // text alone.
    never_in(&["BTreeMap", "BTreeSet", "HashMap", "HashSet", "parse::<f64>", "serde_json::from_slice"], |name| {
        name != "sorted.rs" && !name.ends_with("tests.rs")
    });
    named_only_in(&["smol::unblock", "executor.spawn("], &["task.rs"]);
}

#[test]
fn all_state_is_on_one_thread() {
    let words = ["smol::spawn", "Mutex", "RwLock", "unbounded", "thread::spawn", "static mut"];
    // There helper threads hand over what they found.
    never_in(&words, |name| name != "task.rs");
    // rustls shares its configuration in no other way.
    let rustls = ["mqtt/tls/channel.rs", "mqtt/tls/material.rs", "mqtt/tls/provider.rs", "mqtt/tls/verifier.rs"];
    named_only_in(&["Arc<", "Arc::"], &[&rustls[..], &["task.rs"]].concat());
}

#[test]
fn nothing_blocks_the_thread() {
    never_in(&["thread::sleep"], |_| true);
    // material.rs reads on a helper thread, the configuration is read before anything is served, and lines of the
    // audit are small and go to a file's cache.
    named_only_in(&["std::fs::"], &["mqtt/tls/material.rs", "config/file.rs", "audit.rs"]);
}

#[test]
fn what_the_policy_guards_is_done_where_it_is_asked() {
    named_only_in(&["session.capture("], &["tools/listen.rs"]);
    named_only_in(&["session.publish("], &["tools/publish_message.rs"]);
    named_only_in(&["link::open("], &["mqtt/driver.rs"]);
}

#[test]
fn nothing_but_the_protocol_is_printed() {
    never_in(&["print!(", "println!(", "eprint!(", "eprintln!(", "dbg!("], |_| true);
}

#[test]
fn there_is_no_unsafe_code() {
    assert!(!hits(&["#![forbid(unsafe_code)]"], |name| name == "lib.rs").is_empty());
    never_in(&["unsafe {", "unsafe fn", "unsafe impl"], |_| true);
}

#[test]
fn imports_point_down() {
    for (layer, above) in [
        ("rpc/", &["crate::mcp", "crate::mqtt", "crate::tools", "crate::analysis", "crate::runtime"][..]),
        ("mcp/", &["crate::mqtt", "crate::tools", "crate::analysis", "crate::runtime"]),
        ("mqtt/", &["crate::mcp", "crate::tools", "crate::runtime", "crate::rpc", "crate::demo"]),
        ("analysis/", &["crate::mqtt", "crate::mcp", "crate::tools", "crate::runtime"]),
        ("tools/", &["crate::runtime", "crate::stdio", "crate::config", "crate::demo"]),
    ] {
        never_in(above, |name| name.starts_with(layer));
    }
    let offers = ["crate::library", "crate::resources", "crate::prompts", "crate::completion"];
    let below = ["rpc/", "mcp/", "mqtt/", "analysis/", "tools/"];
    never_in(&offers, |name| below.iter().any(|layer| name.starts_with(layer)));
    never_in(&["crate::runtime", "crate::stdio", "crate::config"], |name| {
        ["resources/", "prompts.rs", "completion.rs", "library.rs"].iter().any(|file| name.starts_with(file))
    });
}

#[test]
fn files_are_small() {
    let mut sizes: Vec<_> = sources().into_iter().map(|source| (source.lines, source.name)).collect();
    sizes.sort();
    let median = &sizes[sizes.len() / 2];
    assert!(median.0 < 200, "the median file is {median:?}");
    let long: Vec<_> = sizes.iter().filter(|(lines, _)| *lines > 500).collect();
    assert!(long.is_empty(), "more than 500 lines: {long:?}");
}

/// Functions of a formatted file: an opening line, and the brace that closes it in the same column.
fn long_functions(name: &str, lines: &[&str]) -> Vec<String> {
    let is_opening = |line: &str| {
        let words: Vec<_> =
            line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
        let modifiers = |word: &&&str| ["pub", "crate", "super", "self", "in", "const", "async"].contains(word);
        words.iter().find(|word| !modifiers(word)) == Some(&"fn")
    };
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| is_opening(line)) {
        let closing = " ".repeat(line.len() - line.trim_start().len()) + "}";
        let length = lines[start..].iter().position(|other| **other == closing).map_or(1, |end| end + 1);
        if length > 70 && !line.trim_end().ends_with([';', '}']) {
            found.push(format!("{name}:{}: {length} lines", start + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    for directory in ["src", "tests"] {
        for (name, text) in below(directory) {
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(long_functions(&name, &lines), Vec::<String>::new());
        }
    }
    let mut long = vec!["    pub(super) async fn long() {"];
    long.extend(["        x();"; 70]);
    long.push("    }");
    assert_eq!(long_functions("x", &long), ["x:1: 72 lines"], "the search finds what is long");
}

#[test]
fn tests_wait_for_conditions_and_never_for_time() {
    let word = ["thread", "::sleep"].concat();
    let counts: Vec<_> = below("tests").into_iter().map(|(name, text)| (text.matches(&word).count(), name)).collect();
    let sleeping: Vec<_> = counts
        .iter()
        .filter(|(count, name)| *count > 0 && name != "it/support/mod.rs" && name != "it/tidy.rs")
        .collect();
    assert!(sleeping.is_empty(), "{sleeping:?}");
    assert!(counts.contains(&(1, "it/support/mod.rs".into())), "one bounded helper");
}

#[test]
fn test_files_are_small_and_no_test_is_left_out() {
    let ignored = ["#[ig", "nore"].concat();
    for (name, text) in below("tests") {
        assert!(text.lines().count() <= 500, "{name}");
        assert!(!text.contains(&ignored), "{name} leaves a test out");
    }
}
