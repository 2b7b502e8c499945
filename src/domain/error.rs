//! The one error that operations return: a stable code, a public sentence, and an internal cause.

use std::{error::Error as StdError, fmt};

use serde::Serialize;
use time::Duration;

/// What went wrong, as clients may match on it. `http/error.rs` decides the HTTP status of each;
/// `docs/error-codes.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    InvalidRequest,
    CursorInvalid,
    LinkInvalid,
    Unauthenticated,
    LoginFailed,
    ScopeMissing,
    AccountNotVerified,
    RoleTooLow,
    EnvironmentMismatch,
    TokenRestricted,
    GrantExceeded,
    DestinationNotAllowed,
    RouteNotFound,
    CallNotFound,
    AgentNotFound,
    ProviderAccountNotFound,
    PhoneNumberNotFound,
    WebhookEndpointNotFound,
    NoticeNotFound,
    WebhookDeliveryNotFound,
    WebhookEndpointDisabled,
    OrganizationNotFound,
    MemberNotFound,
    InvitationNotFound,
    SessionNotFound,
    TokenNotFound,
    MethodNotAllowed,
    CallActive,
    CallKept,
    CallStatusMismatch,
    AgentNotPublished,
    DuplicateReference,
    LastOwner,
    MemberExists,
    AccountExists,
    AgentInUse,
    ProviderAccountInUse,
    ProviderAccountExists,
    PhoneNumberExists,
    TokenNotInForce,
    IdempotencyInProgress,
    PayloadTooLarge,
    UnsupportedMediaType,
    ValidationFailed,
    IdempotencyKeyReused,
    RateLimited,
    ConcurrencyLimit,
    ProviderError,
    ProviderUnavailable,
    Draining,
    MailNotConfigured,
    Overloaded,
    RequestTimeout,
    DatabaseUnavailable,
    Internal,
}

impl ErrorCode {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One member of a request that cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldProblem {
    /// Where: a JSON pointer (RFC 6901) into the body, or the name of a query parameter.
    pub pointer: String,
    /// Stable, lower snake case.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// What to do about it.
    pub message: String,
}

/// An operation's failure.
#[derive(Debug)]
pub struct Error {
    pub code: ErrorCode,
    /// For the client: says what to do. Never holds a secret or another tenant's data.
    pub detail: String,
    pub problems: Vec<FieldProblem>,
    /// How long the client should wait before it tries again.
    pub retry_after: Option<Duration>,
    /// For the log: what was being done, and the cause.
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            problems: Vec::new(),
            retry_after: None,
            source: None,
        }
    }

    /// A request whose members are wrong, one by one.
    pub fn validation(problems: Vec<FieldProblem>) -> Self {
        let detail = problems.iter().fold(String::new(), |mut text, problem| {
            if !text.is_empty() {
                text.push_str("; ");
            }
            if !problem.pointer.is_empty() {
                text.push_str(&problem.pointer);
                text.push(' ');
            }
            text.push_str(&problem.message);
            text
        });
        Self {
            problems,
            ..Self::new(ErrorCode::ValidationFailed, detail)
        }
    }

    /// A single wrong member.
    pub fn field(
        pointer: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::validation(vec![FieldProblem {
            pointer: pointer.into(),
            code,
            message: message.into(),
        }])
    }

    /// A fault of ours: logged with its cause, shown without it.
    pub fn internal(
        doing: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(
            ErrorCode::Internal,
            "Something went wrong on our side; try again, and quote the request id if it persists",
        )
        .because(doing, source)
    }

    /// Adds the internal cause.
    #[must_use]
    pub fn because(
        mut self,
        doing: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.source = Some(Box::new(Cause {
            doing,
            source: source.into(),
        }));
        self
    }

    /// Names the members that it is about.
    #[must_use]
    pub fn about(self, problems: Vec<FieldProblem>) -> Self {
        Self { problems, ..self }
    }

    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The causes, outermost first, for the log.
    pub fn causes(&self) -> String {
        let mut text = String::new();
        let mut next = self.source();
        while let Some(cause) = next {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

#[derive(Debug)]
struct Cause {
    doing: &'static str,
    source: Box<dyn StdError + Send + Sync>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.doing)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}
