//! The JSON of a notice. Its secret is shown to nobody.

use serde::{Deserialize as _, Serialize};

use crate::{
    db::webhook_endpoints::EndpointRow,
    domain::{
        AgentId, Timestamp, WebhookEndpointId,
        notice::{gateway, telegram},
        webhook::endpoint::Channel,
    },
};

/// Who is told of calls.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Notice)]
pub(in crate::http) struct NoticeView<'a> {
    id: WebhookEndpointId,
    /// `telegram` or `gateway`.
    #[schema(example = "telegram")]
    channel: &'static str,
    description: &'a str,
    events: &'a [String],
    /// Only this agent's calls; null: all.
    agent_id: Option<AgentId>,
    timeout_seconds: i32,
    telegram: Option<TelegramView<'a>>,
    gateway: Option<GatewayView<'a>>,
    /// False: no events are queued for it.
    enabled: bool,
    /// True: events are queued and held back.
    paused: bool,
    disabled_reason: Option<&'a str>,
    /// The first failed attempt since one succeeded.
    failing_since: Option<Timestamp>,
    created_at: Timestamp,
}

/// A Telegram chat.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = NoticeTelegram)]
pub(in crate::http) struct TelegramView<'a> {
    api_base_url: &'a str,
    #[serde(flatten)]
    settings: telegram::Settings,
}

/// A gateway.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = NoticeGateway)]
pub(in crate::http) struct GatewayView<'a> {
    url: &'a str,
    #[serde(flatten)]
    settings: gateway::Settings,
}

impl<'a> NoticeView<'a> {
    pub(super) fn of(row: &'a EndpointRow) -> Self {
        let telegram = (row.channel == Channel::Telegram).then_some(());
        let telegram = telegram.and_then(|()| telegram::Settings::deserialize(&row.settings).ok());
        let gateway = (row.channel == Channel::Gateway).then_some(());
        let gateway = gateway.and_then(|()| gateway::Settings::deserialize(&row.settings).ok());
        Self {
            id: row.id,
            channel: row.channel.as_str(),
            description: &row.description,
            events: &row.events,
            agent_id: row.agent_id,
            timeout_seconds: row.timeout_seconds,
            telegram: telegram.map(|settings| TelegramView {
                api_base_url: &row.url,
                settings,
            }),
            gateway: gateway.map(|settings| GatewayView {
                url: &row.url,
                settings,
            }),
            enabled: row.disabled_at.is_none(),
            paused: row.paused_at.is_some(),
            disabled_reason: row.disabled_reason.as_deref(),
            failing_since: row.failing_since,
            created_at: row.created_at,
        }
    }
}
