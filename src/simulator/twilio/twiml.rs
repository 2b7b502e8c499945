//! Whether inline instructions are XML that Twilio could read: one `Response` element, everything
//! closed in order, ampersands escaped.
//!
//! Form only: which verbs there are and what they do is not looked at. Document types and
//! processing instructions past the declaration are refused, as nobody sends them.

/// Whether `text` is a well-formed document with the root `Response` (XML 1.0, section 2.1).
pub(super) fn is_well_formed(text: &str) -> bool {
    scan(text).is_some()
}

fn scan(text: &str) -> Option<()> {
    let mut rest = text.trim();
    if let Some(declared) = rest.strip_prefix("<?xml ") {
        rest = declared.split_once("?>")?.1;
    }
    let mut open: Vec<&str> = Vec::new();
    let mut roots = 0;
    loop {
        let (between, from_tag) = rest.split_once('<').unwrap_or((rest, ""));
        let loose = open.is_empty() && !between.trim().is_empty();
        if loose || between.contains("]]>") || !is_escaped(between) {
            return None;
        }
        if from_tag.is_empty() {
            return (rest == between && open.is_empty() && roots == 1).then_some(());
        }
        if let Some(comment) = from_tag.strip_prefix("!--") {
            rest = comment.split_once("-->")?.1;
        } else if let Some(data) = from_tag.strip_prefix("![CDATA[") {
            open.last()?;
            rest = data.split_once("]]>")?.1;
        } else if let Some(closing) = from_tag.strip_prefix('/') {
            let (name, after) = closing.split_once('>')?;
            (open.pop()? == name.trim_end()).then_some(())?;
            rest = after;
        } else {
            let (name, after, is_empty) = opening(from_tag)?;
            if open.is_empty() {
                (name == "Response").then_some(())?;
                roots += 1;
            }
            if !is_empty {
                open.push(name);
            }
            rest = after;
        }
    }
}

/// Reads a start tag after its `<`: its name, what follows it, and whether it closes itself.
fn opening(text: &str) -> Option<(&str, &str, bool)> {
    let end = text.find(|c: char| c.is_whitespace() || c == '>' || c == '/')?;
    let (name, mut rest) = text.split_at(end);
    is_name(name).then_some(())?;
    let mut attributes: Vec<&str> = Vec::new();
    loop {
        let trimmed = rest.trim_start();
        if let Some(after) = trimmed.strip_prefix("/>") {
            return Some((name, after, true));
        }
        if let Some(after) = trimmed.strip_prefix('>') {
            return Some((name, after, false));
        }
        let (attribute, value) = trimmed.split_once('=')?;
        let attribute = attribute.trim_end();
        let set_apart = trimmed.len() < rest.len();
        let is_new = is_name(attribute) && !attributes.contains(&attribute);
        (set_apart && is_new).then_some(())?;
        attributes.push(attribute);
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = value.strip_prefix(quote)?.split_once(quote)?;
        (!value.contains('<') && is_escaped(value)).then_some(())?;
        rest = after;
    }
}

fn is_name(text: &str) -> bool {
    let starts = |c: char| c.is_alphabetic() || matches!(c, '_' | ':');
    text.starts_with(starts)
        && text
            .chars()
            .all(|c| starts(c) || c.is_alphanumeric() || matches!(c, '-' | '.'))
}

/// Whether every ampersand begins a reference that XML knows.
fn is_escaped(text: &str) -> bool {
    text.split('&').skip(1).all(|after| {
        after.split_once(';').is_some_and(|(reference, _)| {
            let number =
                reference
                    .strip_prefix('#')
                    .and_then(|number| match number.strip_prefix('x') {
                        Some(hex) => u32::from_str_radix(hex, 16).ok(),
                        None => number.parse().ok(),
                    });
            matches!(reference, "lt" | "gt" | "amp" | "quot" | "apos")
                || number.and_then(char::from_u32).is_some()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_twilio_reads_are_well_formed() {
        for good in [
            "<Response/>",
            " <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response></Response>\n",
            "<Response><Pause length=\"3600\"/></Response>",
            "<Response><Say voice='alice'>A &amp; B &#x41; &#65;</Say><!-- x --></Response>",
            "<Response><Connect><Stream url=\"wss://h/p\"><Parameter name=\"k\" value=\"a>b\" />\
             </Stream></Connect></Response >",
            "<Response><Say><![CDATA[1 < 2 & 3]]></Say></Response>",
        ] {
            assert!(is_well_formed(good), "{good}");
        }
    }

    #[test]
    fn broken_documents_are_not() {
        for bad in [
            "",
            "hello",
            "<Say/>",
            "<Response>",
            "<Response><Say></Response></Say>",
            "<Response/><Response/>",
            "<Response><Say>A & B</Say></Response>",
            "<Response><Say>A &nbsp; B</Say></Response>",
            "<Response><Stream url=wss://h/p/></Response>",
            "<Response><Stream url=\"a\"url2=\"b\"/></Response>",
            "<Response><Stream url=\"a\" url=\"b\"/></Response>",
            "<Response><Redirect>http://h/?a=1&b=2</Redirect></Response>",
            "<Response/>x",
            "<Response/><",
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
