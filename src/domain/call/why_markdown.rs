//! The story of a call's end as Markdown, for tickets and chats. Texts of others (providers' words,
//! notes) are escaped: they can neither break the table nor draw links.

use super::why::{Step, Why};

impl Why<'_> {
    /// As a Markdown document.
    pub fn markdown(&self) -> String {
        let mut text = format!("# Why call {} ended\n\n", self.call_id);
        if self.state != "ended" {
            text = format!("# What is known of call {}\n\n", self.call_id);
        }
        line(&mut text, &format!("{}\n", escaped(&self.summary)));
        let told = [
            ("Status", Some(self.status.as_str().to_owned())),
            ("Ended at", self.ended_at.map(|at| at.to_string())),
            (
                "Reason",
                self.ended_reason.map(|reason| reason.as_str().to_owned()),
            ),
            ("Rule", self.rule.map(str::to_owned)),
            ("Asked by", self.initiator.map(str::to_owned)),
            ("Note", self.note.map(str::to_owned)),
            ("Asked at", self.requested_at.map(|at| at.to_string())),
            (
                "Confirmed by",
                self.confirmed_by.map(|by| <&str>::from(by).to_owned()),
            ),
            (
                "Confirmed after",
                self.latency_milliseconds
                    .map(|millis| format!("{millis} ms")),
            ),
            (
                "Connected",
                self.duration_seconds.map(|seconds| format!("{seconds} s")),
            ),
            (
                "The provider said",
                self.provider_cause.map(ToString::to_string),
            ),
        ];
        for (name, value) in told {
            if let Some(value) = value {
                line(&mut text, &format!("- {name}: {}", escaped(&value)));
            }
        }
        line(
            &mut text,
            "\n| # | recorded at (UTC) | after | took | what | by |",
        );
        line(&mut text, "|---|---|---|---|---|---|");
        for (number, step) in (1..).zip(&self.steps) {
            line(&mut text, &row(number, step));
        }
        text
    }
}

fn row(number: usize, step: &Step) -> String {
    let mut what = escaped(&step.what);
    if let Some(at) = step.happened_at {
        what = format!("{what} (at {at})");
    }
    if let Some(answer) = &step.answer {
        let said = [
            answer.status.map(|status| format!("HTTP {status}")),
            answer
                .code
                .as_ref()
                .map(|code| format!("code {}", escaped(code))),
            answer
                .message
                .as_ref()
                .map(|message| format!("“{}”", escaped(message))),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        if !said.is_empty() {
            what = format!("{what}: {}", said.join(", "));
        }
    }
    let took = step
        .took_milliseconds
        .map_or_else(String::new, |took| format!("{took} ms"));
    let by = step.by.as_deref().map_or_else(String::new, escaped);
    let after = step.after_milliseconds;
    format!(
        "| {number} | {} | +{after} ms | {took} | {what} | {by} |",
        step.at
    )
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The text with nothing in it that Markdown or HTML would read as markup, on one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    // Bare addresses are made links of.
    escaped.replace("://", ":\\//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_no_markup() {
        assert_eq!(
            escaped("a|b\n<b>*x*</b> [l](http://e)"),
            r"a\|b &lt;b&gt;\*x\*&lt;/b&gt; \[l\]\(http:\//e\)"
        );
    }
}
