//! From exec to the first answer, against the smallest Rust program that prints a line.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::options::Subject;
use super::server::{INITIALIZE, Result, Server};
use super::table::{Table, median, us};

/// Starts of each program.
const RUNS: usize = 41;
/// Starts of a program that takes its time.
const SLOW_RUNS: usize = 5;
/// What is slow.
const SLOW: Duration = Duration::from_millis(100);

/// The smallest programs: linked as usual, and static.
pub struct Smallest {
    dir: PathBuf,
    dynamic: Option<PathBuf>,
    fixed: Option<PathBuf>,
}

impl Smallest {
    /// Builds them with the `rustc` at hand.
    pub fn build() -> Self {
        let dir = std::env::temp_dir().join(format!("mqtt-mcp-smallest-{}", std::process::id()));
        let built =
            |name: &str, flags: &[&str]| build(&dir, name, flags).map_err(|why| eprintln!("{name}: {why}")).ok();
        let dynamic = built("smallest", &[]);
        let fixed = built("smallest-static", &["-C", "target-feature=+crt-static"]);
        Self { dir, dynamic, fixed }
    }
}

impl Drop for Smallest {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn build(dir: &Path, name: &str, flags: &[&str]) -> std::result::Result<PathBuf, String> {
    std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
    let (source, program) = (dir.join("main.rs"), dir.join(name));
    std::fs::write(&source, "fn main() { println!(\"x\") }\n").map_err(|error| error.to_string())?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc).arg("-O").args(flags).arg("-o").arg(&program).arg(&source).output();
    match built {
        Ok(output) if output.status.success() => Ok(program),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Alternates starts of the server and of the smallest programs.
pub fn measure(subject: &Subject, smallest: &Smallest, column: usize, table: &mut Table) -> Result<()> {
    let programs = [("dynamic", &smallest.dynamic), ("static", &smallest.fixed)];
    let mut answers = Vec::new();
    let mut lines = [Vec::new(), Vec::new()];
    let mut runs = RUNS;
    while answers.len() < runs {
        let answer = first_answer(subject)?;
        if answer > SLOW {
            runs = SLOW_RUNS;
        }
        answers.push(us(answer));
        for (times, (_, program)) in lines.iter_mut().zip(programs) {
            if let Some(program) = program {
                times.push(us(first_byte(program)?));
            }
        }
    }
    let answer = median(answers);
    table.set(column, "exec to the answer to initialize", "ms", answer / 1000.0);
    for (times, (name, _)) in lines.into_iter().zip(programs) {
        let line = median(times);
        table.set(column, &format!("smallest Rust program ({name}), exec to its line"), "ms", line / 1000.0);
        table.set(column, &format!("  initialize against the smallest ({name})"), "ratio", answer / line);
    }
    Ok(())
}

fn first_answer(subject: &Subject) -> Result<Duration> {
    let began = Instant::now();
    let mut server = Server::start(subject)?;
    server.write(&format!("{INITIALIZE}\n"))?;
    let odd = !server.read_line()?.contains("serverInfo");
    let took = began.elapsed();
    if odd { Err("not an answer to initialize".into()) } else { Ok(took) }
}

fn first_byte(program: &Path) -> Result<Duration> {
    let began = Instant::now();
    let child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.map_err(|error| error.to_string())?;
    let mut byte = [0];
    let read = child.stdout.as_mut().ok_or("no stdout")?.read_exact(&mut byte);
    let took = began.elapsed();
    child.wait().map_err(|error| error.to_string())?;
    read.map_err(|error| error.to_string())?;
    Ok(took)
}
