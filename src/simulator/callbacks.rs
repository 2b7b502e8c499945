//! Sends a call's reports to its customer: in order, one after the other, signed; or twice, late,
//! overtaken, forged or never, when that was ordered.
//!
//! One task at a time sends for a call, so its reports keep their order even when the customer is
//! slow. How a report is worded and signed is the provider's face's business. A customer that
//! refuses a report with anything but a server error has had it.

use std::{sync::Arc, time::Duration};

use crate::{domain::provider::ProviderKind, outbound};

use super::{
    call::{CopyKind, Delivered, Event, LineNumber},
    exchange::Dispatch,
    fault::Act,
    openai, sip,
    switchboard::Switchboard,
    telnyx, twilio, vonage,
};

/// How long a customer may take to answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// Waits before each attempt to send a report. Shorter than any provider's, to fit a test.
const ATTEMPTS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// Sends what a call has to report until there is nothing more.
pub(super) async fn deliver(board: Arc<Switchboard>, line: LineNumber) {
    while let Some(dispatch) = board.with(|exchange| exchange.next_report(line)) {
        let copies: &[CopyKind] = match dispatch.fault {
            Some(Act::Drop) => &[CopyKind::Dropped],
            Some(Act::Duplicate) => &[CopyKind::True, CopyKind::Duplicate],
            Some(Act::Forge) => &[CopyKind::Forged, CopyKind::True],
            Some(Act::Delay { by, .. }) => {
                if !board.delay(by).await {
                    return;
                }
                &[CopyKind::True]
            }
            _ => &[CopyKind::True],
        };
        let token = board.ambient.entropy.uuid().to_string();
        for copy in copies {
            let (answers, last) = send(&board, &dispatch, *copy, &token).await;
            if let (CopyKind::True, Some(answer)) = (*copy, last) {
                heed(&board, &dispatch, &answer);
            }
            let delivered = Delivered {
                event: dispatch.report.event,
                sequence: dispatch.report.sequence,
                copy: *copy,
                answers,
            };
            board.with(|exchange| exchange.record_delivered(line, delivered));
        }
    }
}

/// Sends one copy, again while it does not arrive. The answer of each attempt.
async fn send(
    board: &Switchboard,
    dispatch: &Dispatch,
    copy: CopyKind,
    token: &str,
) -> (Vec<Option<u16>>, Option<outbound::Answer>) {
    let secret = match copy {
        CopyKind::True | CopyKind::Duplicate => dispatch.secret.clone(),
        CopyKind::Forged => format!("not {}", dispatch.secret),
        CopyKind::Dropped => return (Vec::new(), None),
    };
    let (report, target) = (&dispatch.report, &dispatch.target);
    if let Some(answers) = sip::tell(board, report, copy) {
        return (answers, None);
    }
    let request = match report.call.provider {
        ProviderKind::Twilio => twilio::callback(report, target, &secret, token),
        ProviderKind::Telnyx => telnyx::callback(report, target, &secret, token, board.now()),
        ProviderKind::Vonage => {
            let here = (board.now(), board.address());
            vonage::callback(report, target, &secret, token, here)
        }
        ProviderKind::Sip => sip::callback(report, target, &secret, token, board.now()),
        ProviderKind::Openai => openai::callback(report, target, &secret, token, board.now()),
    };
    let Some(request) = request else {
        return (Vec::new(), None);
    };
    let mut answers = Vec::new();
    let mut last = None;
    for wait in ATTEMPTS {
        if !board.pause(wait).await {
            break;
        }
        let answer = send_once(board, request.clone()).await;
        let status = answer.as_ref().map(|answer| answer.status);
        answers.push(status);
        if status.is_some_and(|status| status < 500) {
            last = answer;
            break;
        }
    }
    (answers, last)
}

/// Does what the customer's answer asks for, at a provider that asks by its reports.
fn heed(board: &Arc<Switchboard>, dispatch: &Dispatch, answer: &outbound::Answer) {
    let call = &dispatch.report.call;
    match (call.provider, dispatch.report.event) {
        (ProviderKind::Twilio, Event::Arrived) => twilio::heed(board, call, answer),
        (ProviderKind::Vonage, Event::Arrived | Event::Asks) => vonage::heed(board, call, answer),
        (ProviderKind::Sip, Event::Arrived) => sip::heed(board, call, answer),
        (
            ProviderKind::Twilio
            | ProviderKind::Telnyx
            | ProviderKind::Vonage
            | ProviderKind::Sip
            | ProviderKind::Openai,
            _,
        ) => {}
    }
}

async fn send_once(board: &Switchboard, request: outbound::Request) -> Option<outbound::Answer> {
    match board.client.send(request, DEADLINE, 64 * 1024).await {
        Ok(answer) => Some(answer),
        Err(error) => {
            tracing::debug!(%error, "simulation: a callback did not arrive");
            None
        }
    }
}
