//! The report of the experiment on many nodes, with a row for each node.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::Style;
use maud::Markup;
use quick_junit::TestCase;
use serde::Serialize;

use crate::engine::EngineInfo;
use crate::engine::kubernetes::nodes::Node;
use crate::judge::exit_code::Exit;
use crate::judge::verdict::Verdict;
use crate::process::untrusted::{Untrusted, json};
use crate::report::markdown::inline;
use crate::report::page::page;
use crate::report::{ConclusionResult, Format, Report, html, junit, text, time};

/// The runs on all nodes.
#[derive(Debug)]
pub struct NodesReport {
    /// The cluster.
    pub engine: EngineInfo,
    /// The time from the start of the first run to the end of the last one.
    pub duration: Duration,
    /// The result of each node.
    pub nodes: Vec<NodeResult>,
}

/// The result of one node.
#[derive(Debug)]
pub struct NodeResult {
    /// The node.
    pub node: Node,
    /// The duration.
    pub duration: Duration,
    /// The outcome.
    pub outcome: NodeOutcome,
}

/// The outcome of a run on a node.
#[derive(Debug)]
pub enum NodeOutcome {
    /// The run was completed.
    Judged(Box<Report>),
    /// The node accepts no pods. Holds the reason.
    Skipped(String),
    /// The run could not be completed. Holds the reason.
    Failed(String),
}

impl NodeResult {
    /// Returns the name of the verdict.
    fn word(&self) -> &'static str {
        match &self.outcome {
            NodeOutcome::Judged(report) => report.word(),
            NodeOutcome::Skipped(_) => "skip",
            NodeOutcome::Failed(_) => "error",
        }
    }

    fn conclusions(&self) -> &[ConclusionResult] {
        match &self.outcome {
            NodeOutcome::Judged(report) => &report.conclusions,
            _ => &[],
        }
    }

    /// Returns the results of the conclusions, or the reason why there are none, as one line.
    fn finding(&self) -> Untrusted {
        let finding = match &self.outcome {
            NodeOutcome::Skipped(why) | NodeOutcome::Failed(why) => why.replace('\n', " "),
            NodeOutcome::Judged(_) => {
                let findings = self.conclusions().iter().map(|it| match &it.verdict {
                    Verdict::Pass if it.observed == Some(true) => it.conclusion.id.to_owned(),
                    Verdict::Pass => format!("{}: no", it.conclusion.id),
                    Verdict::Fail(difference) => format!("{}: {difference}", it.conclusion.id),
                    Verdict::Unproven(why) => format!("{} unproven: {why}", it.conclusion.id),
                    Verdict::Skip(_) => format!("{} skipped", it.conclusion.id),
                });
                findings.collect::<Vec<_>>().join(", ")
            }
        };
        finding.into()
    }
}

impl NodesReport {
    fn count(&self, word: &str) -> usize {
        self.nodes.iter().filter(|node| node.word() == word).count()
    }

    /// Returns the exit status. A difference has priority over a node without a result.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match ["fail", "unproven", "error"].map(|word| self.count(word)) {
            [0, 0, 0] => Exit::AsPredicted,
            [0, 0, _] => Exit::NotCarriedOut,
            _ => Exit::Differs,
        }
    }

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// Returns the errors of `out`.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        format.write(out, |out| match format {
            Format::Text => self.write_text(out),
            Format::Json => self.write_json(out),
            Format::Markdown => self.write_markdown(out),
            Format::Junit => self.write_junit(out),
            Format::Html => {
                let title = self.title();
                out.write_all(page(&title, "", &self.body()).into_string().as_bytes())
            }
        })
    }

    fn title(&self) -> String {
        format!("The article's experiment on the nodes of kubernetes {}", self.engine.version)
    }

    fn summary(&self) -> String {
        let [pass, fail, unproven, skip, error] =
            ["pass", "fail", "unproven", "skip", "error"].map(|word| self.count(word));
        format!(
            "{} nodes in {}: {pass} as predicted, {fail} not as predicted, {unproven} unproven, \
             {skip} skipped, {error} not completed",
            self.nodes.len(),
            time(self.duration)
        )
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let bold = Style::new().bold();
        writeln!(out, "{bold}{}{bold:#}\n", self.title())?;
        let width = |of: fn(&Node) -> String, heading: &str| {
            let widths = self.nodes.iter().map(|node| of(&node.node).chars().count());
            widths.chain([heading.len()]).max().unwrap_or_default()
        };
        let a = width(|it| it.name.to_string(), "node");
        let b = width(|it| it.runtime.to_string(), "runtime");
        let c = width(|it| it.kernel.to_string(), "kernel");
        writeln!(
            out,
            "{bold}{:<a$}  {:<b$}  {:<c$}  {:>7}  found{bold:#}",
            "node", "runtime", "kernel", "time"
        )?;
        for result in &self.nodes {
            let Node { name, runtime, kernel, .. } = &result.node;
            let (style, word) = (text::style(result.word()), result.word());
            let (time, finding) = (time(result.duration), result.finding());
            write!(out, "{name:<a$}  {runtime:<b$}  {kernel:<c$}  {time:>7}  ")?;
            writeln!(out, "{style}{word}{style:#}: {finding}")?;
        }
        writeln!(out, "\n{}", self.summary())
    }

    /// Returns the verdict of all nodes: the worst word of a node, as in a report of one run.
    fn word(&self) -> &'static str {
        match self.exit() {
            Exit::AsPredicted => "pass",
            _ if self.nodes.iter().all(|node| !matches!(node.word(), "fail" | "error")) => {
                "unproven"
            }
            _ => "fail",
        }
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let document = NodesDocument {
            schema_version: 1,
            engine: &self.engine,
            script: "article",
            duration_ms: self.duration.as_millis(),
            nodes: self.nodes.iter().map(NodeRow::new).collect(),
            verdict: self.word(),
        };
        json::write_pretty(out, &document)
    }

    fn write_markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "## {}\n\n{}.\n", inline(self.title()), self.summary())?;
        writeln!(
            out,
            "| node | runtime | kernel | time | verdict | found |\n|---|---|---|---|---|---|"
        )?;
        for result in &self.nodes {
            let Node { name, runtime, kernel, .. } = &result.node;
            let (name, runtime, kernel) = (inline(name), inline(runtime), inline(kernel));
            let (time, word) = (time(result.duration), result.word());
            let finding = inline(result.finding());
            writeln!(out, "| {name} | {runtime} | {kernel} | {time} | {word} | {finding} |")?;
        }
        Ok(())
    }

    fn write_junit(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut suite = junit::suite("article on kubernetes".to_owned(), &self.engine);
        suite.set_time(self.duration);
        for result in &self.nodes {
            let status = junit::status(result.word(), Some(result.finding()));
            let mut case = TestCase::new(&*result.node.name, status);
            case.set_classname("article.kubernetes").set_time(result.duration);
            suite.add_test_case(case);
        }
        let mut document = quick_junit::Report::new("article");
        document.set_time(self.duration).add_test_suite(suite);
        junit::serialize(&document, out)
    }

    fn body(&self) -> Markup {
        maud::html! {
            h1 { (self.title()) }
            p { (self.summary()) "." }
            table {
                thead {
                    tr {
                        @for heading in ["node", "runtime", "kernel", "time", "verdict", "found"] {
                            th scope="col" { (heading) }
                        }
                    }
                }
                tbody {
                    @for result in &self.nodes {
                        tr {
                            th scope="row" { (result.node.name) }
                            td { (result.node.runtime) }
                            td { (result.node.kernel) }
                            td { (time(result.duration)) }
                            td { (html::badge(result.word())) }
                            td { (result.finding()) }
                        }
                    }
                }
            }
        }
    }
}

#[derive(Serialize)]
struct NodesDocument<'a> {
    schema_version: u32,
    engine: &'a EngineInfo,
    script: &'static str,
    duration_ms: u128,
    nodes: Vec<NodeRow<'a>>,
    verdict: &'static str,
}

#[derive(Serialize)]
struct NodeRow<'a> {
    name: &'a str,
    runtime: &'a Untrusted,
    kernel: &'a Untrusted,
    duration_ms: u128,
    verdict: &'static str,
    reason: Option<&'a str>,
    conclusions: Vec<NodeConclusion>,
}

#[derive(Serialize)]
struct NodeConclusion {
    id: &'static str,
    predicted: Option<bool>,
    observed: Option<bool>,
    verdict: &'static str,
    reason: Option<String>,
}

impl<'a> NodeRow<'a> {
    fn new(result: &'a NodeResult) -> Self {
        let conclusion = |it: &ConclusionResult| NodeConclusion {
            id: it.conclusion.id,
            predicted: it.predicted,
            observed: it.observed,
            verdict: it.verdict.word(),
            reason: it.verdict.reason(),
        };
        Self {
            name: &result.node.name,
            runtime: &result.node.runtime,
            kernel: &result.node.kernel,
            duration_ms: result.duration.as_millis(),
            verdict: result.word(),
            reason: match &result.outcome {
                NodeOutcome::Judged(_) => None,
                NodeOutcome::Skipped(why) | NodeOutcome::Failed(why) => Some(why),
            },
            conclusions: result.conclusions().iter().map(conclusion).collect(),
        }
    }
}
