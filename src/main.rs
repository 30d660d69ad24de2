//! Arguments to configuration to service; the only exit.

use std::process::ExitCode;

use mqtt_mcp::config::{self, Command};
use mqtt_mcp::secret::{keep_out_of_core_files, redacted};
use mqtt_mcp::stdio::{Ends, Input, print, tell};
use mqtt_mcp::{log as logging, runtime, shell};

fn main() -> ExitCode {
    keep_out_of_core_files();
    let config = match config::read(std::env::args_os(), std::env::vars_os()) {
        Ok(Command::Serve(config)) => *config,
        Ok(Command::Print(text)) => {
            print(&text);
            return ExitCode::SUCCESS;
        }
        #[cfg(feature = "analysis")]
        Ok(Command::Check(config, target)) => return shell::check::run(*config, &target),
        #[cfg(feature = "demo")]
        Ok(Command::Demo) => return shell::tour::run(),
        Ok(Command::Tools(config, json)) => {
            print(&shell::tools::text(config.policy, json));
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            tell(&redacted(format!("mqtt-mcp: {why}")));
            return ExitCode::from(2);
        }
    };
    logging::start(config.log);
    logging::panics_to_log();
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    if Input::is_terminal() {
        tell(
            "mqtt-mcp: an MCP server for MQTT; it waits for JSON-RPC, one message a line (see it work: mqtt-mcp demo)",
        );
    }
    match Ends::of_process().and_then(|ends| runtime::run(config, ends, &runtime::SIGNALS)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
