//! How long rows are kept, as the configuration says it.

use chrono::{DateTime, FixedOffset};
use query::store::{DEFAULT_DAYS, Hold, Retention};
use query::window::Window;
use serde::Deserialize;

/// The section `[retention]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetentionToml {
    access_logs_days: Option<u32>,
    rejects_days: Option<u32>,
    edges_1m_days: Option<u32>,
    hold: Vec<HoldToml>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldToml {
    name: String,
    from: String,
    to: String,
    entity: Option<String>,
}

impl RetentionToml {
    /// The checked section; what is wrong with it otherwise.
    pub(super) fn check(self) -> Result<Retention, String> {
        let days = |days: Option<u32>| match days.unwrap_or(DEFAULT_DAYS) {
            0 => None,
            days => Some(days),
        };
        let holds = self.hold.into_iter().map(HoldToml::check).collect::<Result<Vec<_>, _>>()?;
        Ok(Retention {
            access_logs_days: days(self.access_logs_days),
            rejects_days: days(self.rejects_days),
            edges_1m_days: days(self.edges_1m_days),
            holds,
        })
    }
}

impl HoldToml {
    fn check(self) -> Result<Hold, String> {
        let HoldToml { name, from, to, entity } = self;
        let instant = |key: &str, text: &str| {
            let time: Result<DateTime<FixedOffset>, _> = text.parse();
            let wrong =
                |_| format!("retention.hold '{name}': {key} = \"{text}\" is no time: write 2026-11-24T00:00:00Z");
            time.map(|time| time.timestamp_micros()).map_err(wrong)
        };
        let (start, end) = (instant("from", &from)?, instant("to", &to)?);
        let window = Window::new(start, end);
        let window = window.map_err(|_| format!("retention.hold '{name}': from must be before to"))?;
        if entity.as_deref().is_some_and(|entity| entity.trim().is_empty()) {
            return Err(format!(
                "retention.hold '{name}': an empty entity is nobody; leave it out to hold everything of that time"
            ));
        }
        Ok(Hold { name, window, entity })
    }
}
