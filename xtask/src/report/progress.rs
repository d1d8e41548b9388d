//! The progress display: one line on standard error if it is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use shm_core::text::escape_line;

use crate::judge::run::{RunEvent, describe};

/// The progress line.
#[derive(Debug)]
pub struct ProgressLine {
    bar: ProgressBar,
}

impl ProgressLine {
    /// Starts the line with a message.
    #[must_use]
    pub fn start(message: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(message);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar }
    }

    /// Starts to count steps.
    pub fn count(&self, steps: usize) {
        self.start_count(steps, "{spinner} [{pos}/{len}] {msg}");
    }

    /// Starts to count scripts, and shows the remaining time.
    pub fn count_groups(&self, groups: usize) {
        self.start_count(groups, "{spinner} [{pos}/{len}] {bar:30} {eta} left  {msg}");
    }

    fn start_count(&self, total: usize, template: &str) {
        self.bar.set_length(total as u64);
        // The template is a constant; if it were invalid, the default spinner would stay.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }

    /// Counts a finished script, and shows its name.
    pub fn group_done(&self, name: &str) {
        self.show(name);
        self.bar.inc(1);
    }

    /// Shows a progress event.
    pub fn tell(&self, event: &RunEvent<'_>) {
        match event {
            RunEvent::Started(planned) => self.show(&describe(planned)),
            RunEvent::Finished(_) => self.bar.inc(1),
            RunEvent::CleaningUp => self.show("cleaning up"),
        }
    }

    /// Removes the line.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Shows a text, escaped.
    pub fn show(&self, text: &str) {
        self.bar.set_message(escape_line(text.as_bytes()));
    }
}
