//! How far an operation is, for people: a bar on terminals, lines elsewhere. Pure.

use upwrite_control::v1;

const BAR: u64 = 24;
/// Elsewhere than on terminals: a line for each new phase, and for each of so many parts of it.
const PARTS: u64 = 10;

/// Decides what is worth a line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    phase: String,
    part: u64,
}

impl Lines {
    pub(super) fn line(&mut self, progress: &v1::Progress) -> Option<String> {
        let part =
            progress.total.filter(|total| *total > 0).map_or(0, |total| progress.done.saturating_mul(PARTS) / total);
        let same = self.phase == progress.phase && self.part == part && progress.message.is_empty();
        self.phase.clone_from(&progress.phase);
        self.part = part;
        (!same).then(|| format!("{}\n", text(progress)))
    }
}

/// `reading the log  1200/2400 events`
pub(super) fn text(progress: &v1::Progress) -> String {
    let count = match progress.total {
        Some(total) => format!("  {}/{total} {}", progress.done, progress.unit),
        None if progress.done > 0 => format!("  {} {}", progress.done, progress.unit),
        None => String::new(),
    };
    let message = if progress.message.is_empty() { String::new() } else { format!("  {}", progress.message) };
    super::table::one_line(&format!("{}{}{message}", progress.phase, count.trim_end()))
}

/// The same behind a bar; takes the place of the line before.
pub(super) fn bar(progress: &v1::Progress) -> String {
    let Some(total) = progress.total.filter(|total| *total > 0) else { return format!("\r\x1b[K{}", text(progress)) };
    let full = (progress.done.min(total).saturating_mul(BAR) / total).min(BAR);
    let percent = progress.done.min(total).saturating_mul(100) / total;
    let (full, rest) = (usize::try_from(full).unwrap_or_default(), usize::try_from(BAR - full).unwrap_or_default());
    format!("\r\x1b[K[{}{}] {percent:>3} %  {}", "#".repeat(full), ".".repeat(rest), text(progress))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(phase: &str, done: u64, total: Option<u64>) -> v1::Progress {
        v1::Progress { phase: phase.into(), done, total, unit: "events".into(), ..Default::default() }
    }

    #[test]
    fn bars() {
        assert_eq!(
            bar(&progress("reading", 50, Some(100))),
            "\r\x1b[K[############............]  50 %  reading  50/100 events"
        );
        assert_eq!(bar(&progress("reading", 7, None)), "\r\x1b[Kreading  7 events");
        assert!(bar(&progress("reading", 700, Some(100))).contains("[########################] 100 %"));
        assert_eq!(bar(&progress("closing", 0, Some(0))), "\r\x1b[Kclosing  0/0 events");
    }

    #[test]
    fn lines_are_few() {
        let mut lines = Lines::default();
        let shown: Vec<String> =
            (0..=1_000).filter_map(|done| lines.line(&progress("reading", done, Some(1_000)))).collect();
        assert_eq!(shown.len(), 11);
        assert_eq!(shown[1], "reading  100/1000 events\n");
        assert_eq!(lines.line(&progress("mending", 0, None)).as_deref(), Some("mending\n"));
        assert_eq!(lines.line(&progress("mending", 5, None)), None);
    }
}
