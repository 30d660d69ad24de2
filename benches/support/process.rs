//! What Linux tells of a process.

use std::fs::read_to_string;

/// Resets the peak of the resident set.
pub fn reset_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("a process of ours");
}

/// A field of /proc/PID/status, in kB where it has a unit.
pub fn status(pid: u32, field: &str) -> f64 {
    number_after(&read_to_string(format!("/proc/{pid}/status")).expect("it runs"), field)
}

/// The proportional set size in kB: pages shared with others count in part.
pub fn pss_kb(pid: u32) -> f64 {
    number_after(&read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs"), "Pss")
}

/// Connections that are open to a port of this machine.
pub fn connections_to(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let local_port = format!(":{port:04X}");
    let is_open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&local_port)) && fields.nth(1) == Some(ESTABLISHED)
    };
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| read_to_string(path).unwrap_or_default());
    tables.iter().map(|table| table.lines().filter(is_open).count()).sum()
}

fn number_after(text: &str, field: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).expect("a number in /proc")
}

/// CPU time of all threads of a running process, in microseconds.
pub fn cpu_us(pid: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    // To the nanosecond where the kernel keeps it, otherwise in ticks of a hundredth of a second.
    let exact = tasks.flatten().map(|task| schedstat_us(&task.path().join("schedstat").to_string_lossy())).sum();
    if exact > 0.0 { exact } else { stat_us(&format!("/proc/{pid}/stat"), 11) }
}

/// CPU time of the calling thread, in microseconds.
pub fn own_thread_cpu_us() -> f64 {
    let exact = schedstat_us("/proc/thread-self/schedstat");
    if exact > 0.0 { exact } else { stat_us("/proc/thread-self/stat", 11) }
}

/// CPU time of all children that ended and were waited for, in microseconds.
pub fn ended_children_cpu_us() -> f64 {
    stat_us("/proc/self/stat", 13)
}

fn schedstat_us(path: &str) -> f64 {
    let text = read_to_string(path).unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0) / 1000.0
}

/// Two fields of a stat file, counted from behind the program's name, which may hold blanks.
fn stat_us(path: &str, first: usize) -> f64 {
    const TICK_US: f64 = 10_000.0;
    let text = read_to_string(path).expect("it runs");
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(first).take(2).filter_map(|word| word.parse::<f64>().ok()).sum::<f64>() * TICK_US
}
