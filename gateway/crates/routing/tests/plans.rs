//! Which targets a call tries, and why not the others.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panic")]

use airside_protocols::{Family, FrontDoor};
use airside_routing::{
    Asked, Lead, Need, Needs, NoTarget, Pace, Place, Plan, Readiness, SessionView, Skip, Surroundings, plan,
};
use airside_snapshot::{Compiled, Facts, ProviderIndex, Target};
use proptest::prelude::*;
use serde_json::{Value, json};

const FREE: [u32; 1] = [1];

/// A world in which the providers of these indices stand so, and the targets of these models are so fast.
struct World {
    standing: Vec<(ProviderIndex, usize, Readiness)>,
    keys: Vec<u32>,
    paces: Vec<(&'static str, Pace)>,
}

const WELL: World = World {
    standing: Vec::new(),
    keys: Vec::new(),
    paces: Vec::new(),
};

impl Surroundings for World {
    fn keys(&self, _provider: ProviderIndex) -> &[u32] {
        if self.keys.is_empty() { &FREE } else { &self.keys }
    }

    fn readiness(&self, provider: ProviderIndex, key: usize) -> Readiness {
        let known = self.standing.iter().find(|(of, at, _)| *of == provider && *at == key);
        known.map_or(Readiness::Ready, |(_, _, readiness)| *readiness)
    }

    fn pace(&self, target: &Target) -> Pace {
        let known = self.paces.iter().find(|(model, _)| *model == target.model);
        known.map_or(Pace::Unknown, |(_, pace)| *pace)
    }
}

fn price(input: u64) -> Value {
    json!({"tiers": [{"input_uncached": input, "cache_read": input / 10, "cache_write_5m": input,
                      "cache_write_1h": input, "output": input}]})
}

fn target(name: &str) -> Value {
    let (provider, model) = name.split_once('/').unwrap();
    json!({"provider": provider, "model": model, "price": price(1_000_000_000)})
}

fn with(name: &str, more: &Value) -> Value {
    let mut target = target(name);
    for (key, value) in more.as_object().unwrap() {
        target[key] = value.clone();
    }
    target
}

/// Providers: a and b of Anthropic, o of Chat, g of Gemini. One model `m` with this route.
fn compiled(route: &Value) -> Compiled {
    let provider = |name: &str, protocol: &str| json!({"name": name, "protocol": protocol, "base_url": "http://127.0.0.1:1", "credential": {"kind": "none"}});
    let snapshot = json!({
        "format": 1, "version": 1, "compiled_at": "2026-01-01T00:00:00Z",
        "providers": [provider("a", "anthropic"), provider("b", "anthropic"), provider("o", "openai-chat"), provider("g", "gemini")],
        "models": [{"name": "m", "route": route}],
    });
    Compiled::from_json(snapshot.to_string().as_bytes()).unwrap()
}

fn one_step(targets: &[Value]) -> Compiled {
    compiled(&json!([{"to": targets}]))
}

static NO_SESSION: SessionView = SessionView {
    place: None,
    is_pinned: false,
    cached_tokens: 0,
    issuers: Vec::new(),
};

fn asked() -> Asked<'static> {
    Asked {
        door: FrontDoor::Messages,
        facts: None,
        input_tokens: 1_000,
        output_limit: None,
        needs: Needs::default(),
        session: &NO_SESSION,
        session_dice: 1,
        call_dice: 1,
    }
}

fn planned<'a>(compiled: &'a Compiled, asked: &Asked<'_>, world: &World) -> Result<Plan<'a>, NoTarget> {
    plan(compiled, compiled.model("m").unwrap(), asked, world)
}

fn tried(plan: &Plan<'_>) -> Vec<String> {
    let name = |target: &Target| format!("{}/{}", target.provider, target.model);
    plan.candidates.iter().map(|candidate| name(candidate.target)).collect()
}

fn skipped(plan: &Plan<'_>) -> Vec<(String, Skip)> {
    let skipped = plan.skipped.iter();
    skipped
        .map(|skipped| (skipped.target.provider.clone(), skipped.skip))
        .collect()
}

#[test]
fn a_door_that_translates_reaches_every_family_in_the_routes_order() {
    let compiled = one_step(&[target("o/x"), target("a/x"), target("g/x")]);
    let plan = planned(&compiled, &asked(), &WELL).unwrap();
    assert_eq!(tried(&plan), ["o/x", "a/x", "g/x"]);
    assert_eq!(plan.candidates[2].family, Family::Gemini);
    assert!(plan.skipped.is_empty());
}

#[test]
fn a_door_that_does_not_is_served_by_its_own_family_only() {
    let compiled = one_step(&[target("o/x"), target("a/x")]);
    let counting = Asked {
        door: FrontDoor::CountTokens,
        ..asked()
    };
    let plan = planned(&compiled, &counting, &WELL).unwrap();
    assert_eq!(tried(&plan), ["a/x"]);
    assert_eq!(skipped(&plan), [("o".to_owned(), Skip::OtherFamily)]);
    let nobody = planned(&one_step(&[target("o/x"), target("g/x")]), &counting, &WELL).unwrap_err();
    assert_eq!(
        nobody,
        NoTarget::OtherFamilies(vec![Family::OpenaiChat, Family::Gemini])
    );
}

#[test]
fn who_cools_down_comes_last_and_is_skipped_only_for_another() {
    let compiled = one_step(&[target("a/x"), target("b/x")]);
    let world = World {
        standing: vec![(0, 0, Readiness::CoolingDown)],
        ..WELL
    };
    let plan = planned(&compiled, &asked(), &world).unwrap();
    assert_eq!(tried(&plan), ["b/x", "a/x"]);
    assert_eq!(skipped(&plan), [("a".to_owned(), Skip::CoolingDown)]);
    let alone = one_step(&[target("a/x")]);
    let plan = planned(&alone, &asked(), &world).unwrap();
    assert_eq!((tried(&plan), skipped(&plan)), (vec!["a/x".to_owned()], vec![]));
}

#[test]
fn what_cannot_be_priced_or_paid_is_not_asked() {
    let unpriced = one_step(&[with("a/x", &json!({"price": null}))]);
    assert_eq!(planned(&unpriced, &asked(), &WELL).unwrap_err(), NoTarget::UnknownPrice);
    let world = World {
        standing: vec![(0, 0, Readiness::NoCredential)],
        ..WELL
    };
    let unpaid = one_step(&[target("a/x")]);
    assert_eq!(planned(&unpaid, &asked(), &world).unwrap_err(), NoTarget::NoCredential);
}

#[test]
fn the_first_step_whose_condition_holds_counts() {
    let compiled = compiled(&json!([
        {"when": "request.headers['x-team'] == 'red'", "to": [target("a/red")]},
        {"when": "request.input_tokens > 500", "to": [target("a/long")]},
        {"to": [target("a/rest")]},
    ]));
    let facts = |input_tokens| Facts {
        input_tokens,
        ..Facts::default()
    };
    let long = Asked {
        facts: Some(facts(501)),
        ..asked()
    };
    let plan = planned(&compiled, &long, &WELL).unwrap();
    assert_eq!((tried(&plan), plan.rule.index), (vec!["a/long".to_owned()], 1));
    assert_eq!(plan.rule.unanswered[0].1.to_string(), "there is no 'x-team'");
    let short = Asked {
        facts: Some(facts(500)),
        ..asked()
    };
    assert_eq!(tried(&planned(&compiled, &short, &WELL).unwrap()), ["a/rest"]);
}

#[test]
fn a_call_no_step_is_for_is_refused() {
    let compiled = compiled(&json!([{"when": "request.stream", "to": [target("a/x")]}]));
    let whole = Asked {
        facts: Some(Facts::default()),
        ..asked()
    };
    assert_eq!(planned(&compiled, &whole, &WELL).unwrap_err(), NoTarget::NoRule(vec![]));
}

#[test]
fn what_is_too_long_goes_to_a_wider_target_and_to_the_widest_if_there_is_none() {
    let small = with("a/small", &json!({"max_input_tokens": 900}));
    let tiny = with("b/tiny", &json!({"max_input_tokens": 100}));
    let compiled = one_step(&[tiny.clone(), small.clone(), target("o/unknown")]);
    let plan = planned(&compiled, &asked(), &WELL).unwrap();
    assert_eq!(tried(&plan), ["o/unknown"]);
    let narrow = |name: &str| (name.to_owned(), Skip::ContextWindow);
    assert_eq!(skipped(&plan), [narrow("b"), narrow("a")]);
    let compiled = one_step(&[tiny, small]);
    let plan = planned(&compiled, &asked(), &WELL).unwrap();
    assert_eq!(
        (tried(&plan), skipped(&plan)),
        (vec!["a/small".to_owned(), "b/tiny".to_owned()], vec![])
    );
}

#[test]
fn what_a_target_cannot_take_is_kept_from_it_and_named_when_nothing_is_left() {
    let blind = with("a/blind", &json!({"capabilities": {"images": false}}));
    let toolless = with("b/plain", &json!({"capabilities": {"tools": false, "images": true}}));
    let compiled = one_step(&[blind, toolless]);
    let needing = |images, tools| Asked {
        needs: Needs {
            images,
            tools,
            ..Needs::default()
        },
        ..asked()
    };
    let plan = planned(&compiled, &needing(true, false), &WELL).unwrap();
    assert_eq!(tried(&plan), ["b/plain"]);
    assert_eq!(skipped(&plan)[0].1.reason(), "no_images");
    let none = planned(&compiled, &needing(true, true), &WELL).unwrap_err();
    assert_eq!(none, NoTarget::Missing(vec![Need::Images, Need::Tools]));
    let shapeless = with("a/shapeless", &json!({"capabilities": {"structured_output": false}}));
    let compiled = one_step(&[shapeless, with("b/any", &json!({}))]);
    assert!(compiled.model("m").unwrap().asks_about_wishes());
    let mut shaped = asked();
    shaped.needs.structured_output = true;
    let plan = planned(&compiled, &shaped, &WELL).unwrap();
    assert_eq!(
        (tried(&plan), skipped(&plan)[0].1.reason()),
        (vec!["b/any".to_owned()], "no_structured_output")
    );
}

#[test]
fn a_target_that_cannot_think_is_asked_where_none_can() {
    let thoughtless = with("a/plain", &json!({"capabilities": {"thinking": false}}));
    let blind = with(
        "b/blind",
        &json!({"capabilities": {"thinking": false, "images": false}}),
    );
    let thinking = |images| Asked {
        needs: Needs {
            thinking: true,
            images,
            ..Needs::default()
        },
        ..asked()
    };
    let both = one_step(&[thoughtless.clone(), with("b/thinks", &json!({}))]);
    let plan = planned(&both, &thinking(false), &WELL).unwrap();
    assert_eq!(
        (tried(&plan), skipped(&plan)[0].1.reason()),
        (vec!["b/thinks".to_owned()], "no_thinking")
    );
    let none = one_step(&[thoughtless, blind.clone()]);
    let plan = planned(&none, &thinking(false), &WELL).unwrap();
    assert_eq!(
        (tried(&plan), skipped(&plan)),
        (vec!["a/plain".to_owned(), "b/blind".to_owned()], vec![])
    );
    let plan = planned(&none, &thinking(true), &WELL).unwrap();
    assert_eq!(
        (tried(&plan), skipped(&plan)[0].1.reason()),
        (vec!["a/plain".to_owned()], "no_images")
    );
    let shapeless = with(
        "a/shapeless",
        &json!({"capabilities": {"thinking": false, "structured_output": false}}),
    );
    let mut shaped = thinking(false);
    shaped.needs.structured_output = true;
    for (alone, asked, need) in [
        (blind, thinking(true), Need::Images),
        (shapeless, shaped, Need::StructuredOutput),
    ] {
        let missing = planned(&one_step(&[alone]), &asked, &WELL).unwrap_err();
        assert_eq!(missing, NoTarget::Missing(vec![need]), "thinking is no reason");
    }
    let keyless = World {
        standing: vec![(1, 0, Readiness::NoCredential)],
        keys: vec![],
        paces: vec![],
    };
    let plan = planned(&both, &thinking(false), &keyless).unwrap();
    assert_eq!(tried(&plan), ["a/plain"], "the one that thinks has no credential");
}

#[test]
fn the_cheapest_counts_what_the_session_has_in_its_cache() {
    let dear = with("a/dear", &json!({"price": price(3_000_000_000)}));
    let cheap = with("b/cheap", &json!({"price": price(1_000_000_000)}));
    let compiled = compiled(&json!([{"to": [dear, cheap], "strategy": "cheapest"}]));
    let long = |session| Asked {
        input_tokens: 100_000,
        output_limit: Some(100),
        session,
        ..asked()
    };
    assert_eq!(
        tried(&planned(&compiled, &long(&NO_SESSION), &WELL).unwrap())[0],
        "b/cheap"
    );
    let warm = SessionView {
        place: Some(place("a", "dear")),
        cached_tokens: 100_000,
        ..SessionView::default()
    };
    let plan = planned(&compiled, &long(&warm), &WELL).unwrap();
    assert_eq!((tried(&plan)[0].as_str(), plan.lead), ("a/dear", Lead::Cache));
}

fn place(provider: &str, model: &str) -> Place {
    Place {
        provider: provider.into(),
        model: model.into(),
        family: Family::Anthropic,
        key: 0,
    }
}

#[test]
fn the_fastest_tries_the_unknown_once_and_then_believes_the_measure() {
    let compiled =
        compiled(&json!([{"to": [target("a/slow"), target("b/fast"), target("o/new")], "strategy": "fastest"}]));
    let mut world = World {
        paces: vec![("slow", Pace::Measured(900)), ("fast", Pace::Measured(100))],
        ..WELL
    };
    assert_eq!(
        tried(&planned(&compiled, &asked(), &world).unwrap()),
        ["o/new", "b/fast", "a/slow"]
    );
    world.paces.push(("new", Pace::OnTrial));
    assert_eq!(
        tried(&planned(&compiled, &asked(), &world).unwrap()),
        ["b/fast", "a/slow", "o/new"]
    );
}

fn of(session: &SessionView) -> Asked<'_> {
    Asked { session, ..asked() }
}

#[test]
fn a_session_stays_where_its_cache_is_while_that_can_serve() {
    let compiled = one_step(&[target("a/x"), target("b/x")]);
    let mut warm = SessionView {
        place: Some(place("b", "x")),
        cached_tokens: 5,
        ..SessionView::default()
    };
    let plan = planned(&compiled, &of(&warm), &WELL).unwrap();
    assert_eq!(
        (tried(&plan), plan.lead),
        (vec!["b/x".to_owned(), "a/x".to_owned()], Lead::Cache)
    );
    let down = World {
        standing: vec![(1, 0, Readiness::CoolingDown)],
        ..WELL
    };
    let plan = planned(&compiled, &of(&warm), &down).unwrap();
    assert_eq!((tried(&plan)[0].as_str(), plan.lead), ("a/x", Lead::Strategy));
    warm.is_pinned = true;
    assert_eq!(planned(&compiled, &of(&warm), &WELL).unwrap().lead, Lead::Pin);
    warm.place = Some(place("elsewhere", "x"));
    assert_eq!(planned(&compiled, &of(&warm), &WELL).unwrap().lead, Lead::Strategy);
}

#[test]
fn keys_are_drawn_by_weight_the_warm_one_first_and_resting_ones_left_out() {
    let compiled = one_step(&[target("a/x"), target("b/x")]);
    let world = World {
        keys: vec![1, 1_000_000, 1],
        standing: vec![(1, 1, Readiness::CoolingDown)],
        ..WELL
    };
    let keys = |plan: &Plan<'_>| -> Vec<(usize, usize)> {
        plan.candidates
            .iter()
            .map(|candidate| (candidate.rank, candidate.key))
            .collect()
    };
    let plan = planned(&compiled, &asked(), &world).unwrap();
    assert_eq!(keys(&plan)[0], (0, 1), "the heavy one");
    assert_eq!(plan.candidates.len(), 5);
    let warm = SessionView {
        place: Some(Place {
            key: 2,
            ..place("a", "x")
        }),
        ..SessionView::default()
    };
    let at = Asked {
        session: &warm,
        ..asked()
    };
    assert_eq!(keys(&planned(&compiled, &at, &world).unwrap())[0], (0, 2));
}

#[test]
fn a_share_of_the_sessions_tries_the_new_target_first_and_falls_back_like_all() {
    let share = |points: u32| {
        compiled(&json!([{"to": [target("a/old")], "split": {"target": target("g/new"), "basis_points": points}}]))
    };
    let (none, some, all) = (share(0), share(500), share(10_000));
    let mut new = 0;
    for dice in 0..2_000 {
        let asked = Asked {
            session_dice: dice,
            ..asked()
        };
        assert_eq!(tried(&planned(&none, &asked, &WELL).unwrap()), ["a/old"]);
        let plan = planned(&all, &asked, &WELL).unwrap();
        assert_eq!(
            (tried(&plan), plan.lead),
            (vec!["g/new".to_owned(), "a/old".to_owned()], Lead::Split)
        );
        new += usize::from(planned(&some, &asked, &WELL).unwrap().lead == Lead::Split);
    }
    assert!((60..140).contains(&new), "{new} of 2000 are not about 5 %");
}

#[test]
fn a_shadow_is_chosen_per_call_and_never_among_the_candidates() {
    let compiled =
        compiled(&json!([{"to": [target("a/x")], "shadow": {"target": target("g/new"), "basis_points": 5_000}}]));
    let mut shadowed = 0;
    for dice in 0..1_000 {
        let asked = Asked {
            call_dice: dice,
            ..asked()
        };
        let plan = planned(&compiled, &asked, &WELL).unwrap();
        assert_eq!(tried(&plan), ["a/x"]);
        shadowed += usize::from(plan.shadow.is_some_and(|shadow| shadow.target.model == "new"));
    }
    assert!((400..600).contains(&shadowed), "{shadowed}");
    let counting = Asked {
        door: FrontDoor::CountTokens,
        call_dice: 1,
        ..asked()
    };
    assert!(planned(&compiled, &counting, &WELL).unwrap().shadow.is_none());
}

#[test]
fn weights_are_the_shares_of_the_first_places() {
    let heavy = with("a/heavy", &json!({"weight": 3}));
    let compiled = compiled(&json!([{"to": [target("b/light"), heavy], "strategy": "weighted"}]));
    let is_heavy = |dice| {
        let asked = Asked {
            session_dice: dice,
            ..asked()
        };
        let plan = planned(&compiled, &asked, &WELL).unwrap();
        assert_eq!(
            tried(&plan),
            tried(&planned(&compiled, &asked, &WELL).unwrap()),
            "a session stays"
        );
        tried(&plan)[0] == "a/heavy"
    };
    let heavy = (0..4_000).filter(|dice| is_heavy(*dice)).count();
    assert!((2_850..3_150).contains(&heavy), "{heavy} of 4000 are not about 75 %");
}

fn any_target() -> impl Strategy<Value = Value> {
    let able = || prop::option::of(any::<bool>());
    (0_usize..4, "[xyz]", 1_u32..9, prop::option::of(500_u64..2_000), able(), able(), any::<bool>()).prop_map(
        |(provider, model, weight, window, images, tools, priced)| {
            let mut target = with(
                &format!("{}/{model}", ["a", "b", "o", "g"][provider]),
                &json!({"weight": weight, "max_input_tokens": window, "capabilities": {"images": images, "tools": tools}}),
            );
            if !priced {
                target["price"] = Value::Null;
            }
            target
        },
    )
}

proptest! {
    #[test]
    fn whatever_the_route_nobody_is_asked_who_cannot_serve_and_nobody_is_forgotten(
        targets in prop::collection::vec(any_target(), 1..6), strategy in 0_usize..4, dice in any::<u64>(),
        standing in prop::collection::vec(0_usize..3, 4), images in any::<bool>(), tools in any::<bool>(),
        input_tokens in 0_u64..2_500,
    ) {
        let strategy = ["ordered", "weighted", "cheapest", "fastest"][strategy];
        let compiled = compiled(&json!([{"to": targets, "strategy": strategy}]));
        let readiness = |at: usize| [Readiness::Ready, Readiness::CoolingDown, Readiness::NoCredential][standing[at]];
        let world = World { standing: (0..4).map(|at| (at, 0, readiness(at))).collect(), ..WELL };
        let needs = Needs { images, tools, ..Needs::default() };
        let asked = Asked { session_dice: dice, needs, input_tokens, ..asked() };
        let Ok(plan) = planned(&compiled, &asked, &world) else {
            return Ok(());
        };
        prop_assert!(!plan.candidates.is_empty());
        let mut saw_resting = false;
        for candidate in &plan.candidates {
            let able = candidate.target.capabilities;
            prop_assert!(candidate.target.price.is_some());
            prop_assert!(!images || able.images != Some(false));
            prop_assert!(!tools || able.tools != Some(false));
            let rests = readiness(candidate.provider) == Readiness::CoolingDown;
            prop_assert!(readiness(candidate.provider) != Readiness::NoCredential);
            let fits = candidate.target.max_input_tokens.is_none_or(|window| input_tokens <= window);
            prop_assert!(!saw_resting || rests || !fits, "who rests comes last");
            saw_resting |= rests;
        }
        let fits: Vec<bool> = plan.candidates.iter().map(|c| c.target.max_input_tokens.is_none_or(|w| input_tokens <= w)).collect();
        prop_assert!(fits.iter().all(|fits| *fits) || fits.iter().all(|fits| !*fits));
        let only_skipped = plan.skipped.iter().filter(|skipped| skipped.skip != Skip::CoolingDown).count();
        prop_assert_eq!(plan.candidates.len() + only_skipped, targets.len());
    }
}
