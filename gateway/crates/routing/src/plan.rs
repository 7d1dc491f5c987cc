//! The targets of one call, in order, and those it cannot use with the reason.
//!
//! The first step whose condition holds counts, and no other: a call whose step has nothing left to offer is refused,
//! because the next step was written for other calls.

use std::sync::Arc;

use airside_protocols::{Family, FrontDoor};
use airside_snapshot::{Compiled, Facts, Model, NoAnswer, Price, Provider, ProviderIndex, Share, Step, Target};

use crate::order::{Lead, chance, in_order};
use crate::sessions::SessionView;
use crate::speed::Pace;

/// Hundredths of a per cent.
const EVERYBODY: u64 = 10_000;

/// Whether a key of a provider can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// Its credential has no value.
    NoCredential,
    /// It asked to be left alone, or failed too often.
    CoolingDown,
}

/// Something a target may not be able to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Pictures.
    Images,
    /// Documents and files.
    Documents,
    /// Tools.
    Tools,
    /// Thinking.
    Thinking,
    /// An answer that follows a schema.
    StructuredOutput,
}

impl Need {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Documents => "documents",
            Self::Tools => "tools",
            Self::Thinking => "thinking",
            Self::StructuredOutput => "structured output",
        }
    }
}

/// What a call needs of its target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate need")]
pub struct Needs {
    /// Pictures are in it.
    pub images: bool,
    /// Documents or files are in it.
    pub documents: bool,
    /// Tools are on offer.
    pub tools: bool,
    /// Thinking is asked for.
    pub thinking: bool,
    /// Its answer must follow a schema.
    pub structured_output: bool,
}

impl Needs {
    /// What is needed and this target said it cannot take.
    fn missing_at(self, target: &Target) -> Option<Need> {
        let able = target.capabilities;
        [
            (self.images, able.images, Need::Images),
            (self.documents, able.documents, Need::Documents),
            (self.tools, able.tools, Need::Tools),
            (self.thinking, able.thinking, Need::Thinking),
            (self.structured_output, able.structured_output, Need::StructuredOutput),
        ]
        .into_iter()
        .find_map(|(is_needed, able, need)| (is_needed && able == Some(false)).then_some(need))
    }
}

/// Why a target is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// It speaks another dialect than the front door, and what is asked here cannot be translated.
    OtherFamily,
    /// Nobody priced it, and the policy is to refuse.
    UnknownPrice,
    /// Its provider's credential has no value.
    NoCredential,
    /// Its provider or key rests; it comes last.
    CoolingDown,
    /// The input is too long for it.
    ContextWindow,
    /// It cannot take something of the request.
    Cannot(Need),
    /// A budget cannot cover it, and can cover another.
    Budget,
    /// It is called as fast as it may be.
    RateLimit,
}

impl Skip {
    /// The reason in the journal.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OtherFamily => "other_family",
            Self::UnknownPrice => "unknown_price",
            Self::NoCredential => "no_credential",
            Self::CoolingDown => "cooling_down",
            Self::ContextWindow => "context_window",
            Self::Cannot(Need::Images) => "no_images",
            Self::Cannot(Need::Documents) => "no_documents",
            Self::Cannot(Need::Tools) => "no_tools",
            Self::Cannot(Need::Thinking) => "no_thinking",
            Self::Cannot(Need::StructuredOutput) => "no_structured_output",
            Self::Budget => "budget",
            Self::RateLimit => "rate_limit",
        }
    }
}

/// A target that can be asked, with one of its provider's keys.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The target.
    pub target: &'a Target,
    /// What it costs.
    pub price: &'a Arc<Price>,
    /// Its provider.
    pub provider: ProviderIndex,
    /// The dialect that provider speaks.
    pub family: Family,
    /// Which of the provider's keys.
    pub key: usize,
    /// Candidates of the same target have the same rank.
    pub rank: usize,
}

/// A target that is not asked, or asked last.
#[derive(Debug, Clone, Copy)]
pub struct Skipped<'a> {
    /// The target.
    pub target: &'a Target,
    /// Why.
    pub skip: Skip,
}

/// Which rule a call follows.
#[derive(Debug, Clone)]
pub struct Rule<'a> {
    /// Which step, from 0.
    pub index: usize,
    /// The step.
    pub step: &'a Step,
    /// Steps before it whose condition gave no answer, and why: they count as not meant.
    pub unanswered: Vec<(usize, NoAnswer)>,
}

/// What a call tries.
#[derive(Debug)]
pub struct Plan<'a> {
    /// In order: those that are ready, then those that cool down.
    pub candidates: Vec<Candidate<'a>>,
    /// The others, and those that cool down.
    pub skipped: Vec<Skipped<'a>>,
    /// By which rule.
    pub rule: Rule<'a>,
    /// What put the first candidate first.
    pub lead: Lead,
    /// Who gets a copy.
    pub shadow: Option<Candidate<'a>>,
}

/// Why there is nothing to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTarget {
    /// No step of the route is for this call.
    NoRule(Vec<(usize, NoAnswer)>),
    /// The model is served in these families only.
    OtherFamilies(Vec<Family>),
    /// No target that could serve has a price.
    UnknownPrice,
    /// No target that could serve has a credential.
    NoCredential,
    /// No target can take all of the request; these stood in the way.
    Missing(Vec<Need>),
}

/// What routing must know of a call.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Where it came in.
    pub door: FrontDoor,
    /// What conditions are asked about; needed only where the model has any.
    pub facts: Option<Facts<'a>>,
    /// Estimated.
    pub input_tokens: u64,
    /// As the caller said.
    pub output_limit: Option<u64>,
    /// What the target must be able to take.
    pub needs: Needs,
    /// What is remembered of its session.
    pub session: &'a SessionView,
    /// Decides what is left to chance, alike for every call of a session.
    pub session_dice: u64,
    /// The same for this call alone.
    pub call_dice: u64,
}

/// What routing must know of the world.
pub trait Surroundings {
    /// The weights of a provider's keys; one at least.
    fn keys(&self, provider: ProviderIndex) -> &[u32];
    /// Whether one of them can be asked.
    fn readiness(&self, provider: ProviderIndex, key: usize) -> Readiness;
    /// How soon a target began to answer lately.
    fn pace(&self, target: &Target) -> Pace;
}

/// The targets of a call of this model.
///
/// # Errors
/// `NoTarget` when none is left.
pub fn plan<'a>(
    compiled: &'a Compiled,
    model: &'a Model,
    asked: &Asked<'_>,
    surroundings: &impl Surroundings,
) -> Result<Plan<'a>, NoTarget> {
    let rule = rule_of(model, asked)?;
    let step = rule.step;
    let is_in = |share: &Share, dice: u64, salt: &str| {
        chance(dice, &[salt, &model.name]) % EVERYBODY < u64::from(share.basis_points)
    };
    let split = step
        .split
        .as_ref()
        .filter(|share| is_in(share, asked.session_dice, "split"));
    let sifted = |needs: Needs| {
        let mut sieve = Sieve::new(compiled, asked, needs, surroundings);
        for target in split.map(|share| &share.target).into_iter().chain(&step.to) {
            sieve.sift(target);
        }
        sieve.finish()
    };
    let sifted = match sifted(asked.needs) {
        // Every harness asks its models to think: where none that does can be asked, the wish is left out.
        Err(_) if asked.needs.thinking => sifted(Needs {
            thinking: false,
            ..asked.needs
        })?,
        sifted => sifted?,
    };
    let (ordered, lead) = in_order(sifted.ready, step.strategy, split.is_some(), asked, surroundings);
    let mut candidates = Vec::with_capacity(ordered.len() + sifted.resting.len());
    for (rank, usable) in ordered.iter().chain(&sifted.resting).enumerate() {
        candidates.extend(usable.keys.iter().map(|key| Candidate {
            key: *key,
            rank,
            ..usable.candidate
        }));
    }
    let shadow = step
        .shadow
        .as_ref()
        .filter(|share| is_in(share, asked.call_dice, "shadow"));
    let shadow = shadow.and_then(|share| {
        let mut sieve = Sieve::new(compiled, asked, asked.needs, surroundings);
        sieve.sift(&share.target);
        let usable = sieve.finish().ok()?.ready.into_iter().next()?;
        let key = *usable.keys.first()?;
        Some(Candidate {
            key,
            ..usable.candidate
        })
    });
    Ok(Plan {
        candidates,
        skipped: sifted.skipped,
        rule,
        lead,
        shadow: shadow.filter(|_| asked.door.is_billed()),
    })
}

/// What a copy of a call tries: the shadow of this step of the route, and nothing else.
#[must_use]
pub fn shadow_plan<'a>(compiled: &'a Compiled, model: &'a Model, index: usize, key: usize) -> Option<Plan<'a>> {
    let step = model.route.get(index)?;
    let target = &step.shadow.as_ref()?.target;
    let (provider, definition) = provider_of(compiled, target)?;
    let candidate = Candidate {
        target,
        price: compiled.price_of(target)?,
        provider,
        family: definition.protocol,
        key,
        rank: 0,
    };
    Some(Plan {
        candidates: vec![candidate],
        skipped: Vec::new(),
        rule: Rule {
            index,
            step,
            unanswered: Vec::new(),
        },
        lead: Lead::Strategy,
        shadow: None,
    })
}

/// The first step that is for this call.
fn rule_of<'a>(model: &'a Model, asked: &Asked<'_>) -> Result<Rule<'a>, NoTarget> {
    let mut unanswered = Vec::new();
    for (index, step) in model.route.iter().enumerate() {
        let Some(condition) = &step.when else {
            return Ok(Rule {
                index,
                step,
                unanswered,
            });
        };
        let facts = asked.facts.as_ref();
        match facts.map_or(Ok(false), |facts| condition.holds(facts)) {
            Ok(true) => {
                return Ok(Rule {
                    index,
                    step,
                    unanswered,
                });
            }
            Ok(false) => {}
            Err(why) => unanswered.push((index, why)),
        }
    }
    Err(NoTarget::NoRule(unanswered))
}

/// A target that could serve, with the keys it can be asked with.
#[derive(Debug)]
pub(crate) struct Usable<'a> {
    pub(crate) candidate: Candidate<'a>,
    pub(crate) keys: Vec<usize>,
}

struct Sieve<'a, 's, S> {
    compiled: &'a Compiled,
    asked: &'s Asked<'s>,
    needs: Needs,
    surroundings: &'s S,
    ready: Vec<Usable<'a>>,
    resting: Vec<Usable<'a>>,
    too_narrow: Vec<Usable<'a>>,
    skipped: Vec<Skipped<'a>>,
    families: Vec<Family>,
}

struct Sifted<'a> {
    ready: Vec<Usable<'a>>,
    resting: Vec<Usable<'a>>,
    skipped: Vec<Skipped<'a>>,
}

impl<'a, 's, S: Surroundings> Sieve<'a, 's, S> {
    fn new(compiled: &'a Compiled, asked: &'s Asked<'s>, needs: Needs, surroundings: &'s S) -> Self {
        Self {
            compiled,
            asked,
            needs,
            surroundings,
            ready: Vec::with_capacity(2),
            resting: Vec::new(),
            too_narrow: Vec::new(),
            skipped: Vec::new(),
            families: Vec::new(),
        }
    }

    /// Put one target where it belongs.
    fn sift(&mut self, target: &'a Target) {
        let Some((provider, definition)) = provider_of(self.compiled, target) else {
            return;
        };
        let family = definition.protocol;
        if let Some(skip) = self.obstacle(target, family) {
            if skip == Skip::OtherFamily && !self.families.contains(&family) {
                self.families.push(family);
            }
            self.skipped.push(Skipped { target, skip });
            return;
        }
        let Some(price) = self.compiled.price_of(target) else {
            return;
        };
        let candidate = Candidate {
            target,
            price,
            provider,
            family,
            key: 0,
            rank: 0,
        };
        let (ready, resting) = self.keys_of(&candidate);
        if ready.is_empty() && resting.is_empty() {
            let skip = Skip::NoCredential;
            self.skipped.push(Skipped { target, skip });
            return;
        }
        let is_narrow = target
            .max_input_tokens
            .is_some_and(|window| self.asked.input_tokens > window);
        if is_narrow {
            let keys = if ready.is_empty() { resting } else { ready };
            self.too_narrow.push(Usable { candidate, keys });
        } else if ready.is_empty() {
            self.resting.push(Usable {
                candidate,
                keys: resting,
            });
        } else {
            self.ready.push(Usable { candidate, keys: ready });
        }
    }

    fn obstacle(&self, target: &Target, family: Family) -> Option<Skip> {
        let door = self.asked.door;
        if !door.is_spoken_by(family) && !door.translates() {
            return Some(Skip::OtherFamily);
        }
        if self.compiled.price_of(target).is_none() {
            return Some(Skip::UnknownPrice);
        }
        self.needs.missing_at(target).map(Skip::Cannot)
    }

    /// The keys to ask with, and those that rest: first the one whose cache is warm, then by chance and weight.
    fn keys_of(&self, candidate: &Candidate<'_>) -> (Vec<usize>, Vec<usize>) {
        let weights = self.surroundings.keys(candidate.provider);
        let readiness = |key: &usize| self.surroundings.readiness(candidate.provider, *key);
        if let [_] = weights {
            // Most providers have one.
            return match readiness(&0) {
                Readiness::Ready => (vec![0], Vec::new()),
                Readiness::CoolingDown => (Vec::new(), vec![0]),
                Readiness::NoCredential => (Vec::new(), Vec::new()),
            };
        }
        let mut keys: Vec<usize> = (0..weights.len()).collect();
        if let [_, _, ..] = weights {
            let target = candidate.target;
            let warm = self.asked.session.place.as_ref();
            let warm = warm
                .filter(|place| *place.provider == target.provider)
                .map(|place| place.key);
            let draw = |key: usize| {
                let weight = weights.get(key).copied().unwrap_or(1);
                crate::order::draw(
                    chance(self.asked.session_dice, &[&target.provider, &key.to_string()]),
                    weight,
                )
            };
            keys.sort_by(|left, right| {
                let is_warm = |key: &usize| warm == Some(*key);
                is_warm(right)
                    .cmp(&is_warm(left))
                    .then(draw(*left).total_cmp(&draw(*right)))
            });
        }
        let ready = keys.iter().copied().filter(|key| readiness(key) == Readiness::Ready);
        let ready: Vec<usize> = ready.collect();
        keys.retain(|key| readiness(key) == Readiness::CoolingDown);
        (ready, keys)
    }

    /// What is left. Targets whose window is too small are passed over while there is a wider one; when there is none,
    /// the widest is asked all the same: the estimate may be wrong, and the provider's own words make harnesses compact.
    fn finish(mut self) -> Result<Sifted<'a>, NoTarget> {
        if self.ready.is_empty() && self.resting.is_empty() {
            self.too_narrow
                .sort_by_key(|usable| std::cmp::Reverse(usable.candidate.target.max_input_tokens));
            self.ready.append(&mut self.too_narrow);
        }
        let skip = |usable: &Usable<'a>, skip| Skipped {
            target: usable.candidate.target,
            skip,
        };
        self.skipped
            .extend(self.too_narrow.iter().map(|usable| skip(usable, Skip::ContextWindow)));
        if !self.ready.is_empty() {
            self.skipped
                .extend(self.resting.iter().map(|usable| skip(usable, Skip::CoolingDown)));
        }
        if self.ready.is_empty() && self.resting.is_empty() {
            return Err(why_none(&self.skipped, self.families));
        }
        Ok(Sifted {
            ready: self.ready,
            resting: self.resting,
            skipped: self.skipped,
        })
    }
}

pub(crate) fn provider_of<'a>(compiled: &'a Compiled, target: &Target) -> Option<(ProviderIndex, &'a Provider)> {
    let index = compiled.provider_index(&target.provider)?;
    Some((index, compiled.snapshot.providers.get(index)?))
}

fn why_none(skipped: &[Skipped<'_>], families: Vec<Family>) -> NoTarget {
    let any = |skip| skipped.iter().any(|skipped| skipped.skip == skip);
    let mut missing: Vec<Need> = skipped
        .iter()
        .filter_map(|skipped| match skipped.skip {
            Skip::Cannot(need) => Some(need),
            _ => None,
        })
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if any(Skip::NoCredential) {
        NoTarget::NoCredential
    } else if !missing.is_empty() {
        NoTarget::Missing(missing)
    } else if any(Skip::UnknownPrice) {
        NoTarget::UnknownPrice
    } else {
        NoTarget::OtherFamilies(families)
    }
}
