//! Rebuild and recover: their progress.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use futures::StreamExt as _;
use upwrite_control::{ClientError, Responses, v1};

use super::exit::Failure;
use super::page;
use super::progress::{Lines, bar, text};

/// Until it has succeeded. Without the last word it has not.
pub(super) async fn show(mut progress: Responses<v1::Progress>, json: bool) -> Result<(), Failure> {
    let terminal = !json && std::io::stdout().is_terminal();
    let mut lines = Lines::default();
    let mut last: Option<v1::Progress> = None;
    while let Some(step) = progress.next().await {
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                if terminal {
                    page::print("\n")?;
                }
                return Err(broken(error).into());
            }
        };
        if json {
            page::print(&page::json(&step))?;
        }
        if step.finished {
            return done(terminal, json);
        }
        if terminal {
            // A phase that ends stays on the screen.
            let ended = last.take().filter(|before| before.phase != step.phase || !before.message.is_empty());
            if let Some(before) = ended {
                page::print(&format!("\r\x1b[K{}\n", text(&before)))?;
            }
            page::print(&bar(&step))?;
            last = Some(step);
        } else if !json && let Some(line) = lines.line(&step) {
            page::print(&line)?;
        }
    }
    Err(ClientError::Failed("the server did not say that the operation has succeeded: run it again".to_owned()).into())
}

fn done(terminal: bool, json: bool) -> Result<(), Failure> {
    match (terminal, json) {
        (true, _) => page::print("\r\x1b[Kdone\n"),
        (false, true) => Ok(()),
        (false, false) => page::print("done\n"),
    }
}

/// In mid-operation a lost connection is a failure of the operation: it has ended with it.
fn broken(error: ClientError) -> ClientError {
    match error {
        ClientError::Unreachable(why) => {
            ClientError::Unreachable(format!("the operation was ended; run it again: {why}"))
        }
        other => other,
    }
}

/// Asks on a terminal; elsewhere there is nobody to ask.
pub(super) fn confirm(yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("recovery changes what clients were told is unfinished: say --yes".to_owned()));
    }
    eprint!(
        "All proxies, appliers, reconcilers and syncers are stopped, and every unfinished mutation may be marked in doubt? [y/N] "
    );
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::Usage("nothing was done".to_owned()))
}
