//! How much the model is to think: a budget in tokens, an effort by name, or as it sees fit.

/// What the caller said about thinking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reasoning {
    pub(crate) switch: Switch,
    pub(crate) effort: Option<Effort>,
    /// In tokens.
    pub(crate) budget: Option<u64>,
    /// The caller wants to see it.
    pub(crate) is_shown: bool,
}

/// Whether the caller turned thinking on or off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Switch {
    #[default]
    Unsaid,
    Off,
    On,
}

/// The efforts of all dialects together, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    ExtraHigh,
    Max,
}

/// The least that Anthropic takes as a budget.
const SMALLEST_BUDGET: u64 = 1024;

impl Effort {
    /// By the name that Anthropic, `OpenAI` and Gemini give it, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::ExtraHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::ExtraHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort that comes nearest to a budget.
    pub(crate) const fn of_budget(tokens: u64) -> Self {
        match tokens {
            10_000.. => Self::High,
            5_000.. => Self::Medium,
            2_000.. => Self::Low,
            _ => Self::Minimal,
        }
    }

    /// A budget that reads back as this effort.
    pub(crate) const fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => SMALLEST_BUDGET,
            Self::Low => 2_048,
            Self::Medium => 8_192,
            Self::High => 16_384,
            Self::ExtraHigh | Self::Max => 32_768,
        }
    }
}

impl Reasoning {
    pub(crate) const fn is_off(self) -> bool {
        matches!(self.switch, Switch::Off) || matches!(self.effort, Some(Effort::None))
    }

    /// True when the caller wants the model to think, or to make a certain effort.
    pub(crate) const fn is_on(self) -> bool {
        !self.is_off() && (matches!(self.switch, Switch::On) || self.effort.is_some() || self.budget.is_some())
    }

    /// The effort asked for, however it was said; `None` when nothing was.
    pub(crate) fn effort(self) -> Option<Effort> {
        if self.is_off() {
            return Some(Effort::None);
        }
        let of_budget = self.budget.map(Effort::of_budget);
        // As it sees fit: the middle, which every model knows.
        let adaptive = (self.switch == Switch::On).then_some(Effort::Medium);
        self.effort.or(of_budget).or(adaptive)
    }

    /// The budget for Anthropic's older models: at least 1024 and less than the whole output. `None` if that cannot be.
    pub(crate) fn budget_within(self, limit: u64) -> Option<u64> {
        let wanted = self.budget.or_else(|| self.effort().map(Effort::budget))?;
        let budget = wanted.max(SMALLEST_BUDGET).min(limit.saturating_sub(1));
        (budget >= SMALLEST_BUDGET).then_some(budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_stays_within_what_anthropic_takes() {
        let of = |budget, effort| Reasoning {
            effort,
            budget,
            ..Reasoning::default()
        };
        assert_eq!(of(Some(500), None).budget_within(4096), Some(1024));
        assert_eq!(of(Some(9000), None).budget_within(4096), Some(4095));
        assert_eq!(of(Some(9000), None).budget_within(1024), None);
        assert_eq!(of(None, Some(Effort::High)).budget_within(64_000), Some(16_384));
        assert_eq!(of(None, None).budget_within(64_000), None);
    }

    #[test]
    fn efforts_come_back_from_their_budgets() {
        for effort in [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High] {
            assert_eq!(Effort::of_budget(effort.budget()), effort);
        }
    }
}
