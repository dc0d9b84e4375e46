use std::io::IsTerminal as _;

/// Text in an SGR style, on a terminal.
pub(super) fn paint(style: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}
