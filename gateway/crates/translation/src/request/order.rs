//! The order that all dialects agree on: instructions first, turns that alternate, the results of a turn's calls right
//! after it, and nothing in it that the target did not issue.

use std::collections::HashMap;

use airside_protocols::Family;

use crate::json::Text;
use crate::request::conversation::{Block, Conversation, Role, TextBlock, Turn};
use crate::request::losses::{Field, Losses};

/// Put a conversation in order for this target.
pub(crate) fn put_in_order(conversation: &mut Conversation<'_>, target: Family, losses: &mut Losses) {
    let caller = conversation.caller;
    let mut turns = std::mem::take(&mut conversation.turns);
    for turn in &mut turns {
        drop_foreign_thinking(turn, target, caller, losses);
        clean_results(turn);
    }
    turns.retain(|turn| !turn.blocks.is_empty());
    lift_instructions(conversation, &mut turns);
    if matches!(target, Family::Anthropic | Family::Gemini) {
        say_instructions_as_user(&mut turns, caller, losses);
    }
    // The others take the user's messages one by one, as they were said.
    let joins_users = matches!(target, Family::Anthropic | Family::Gemini);
    conversation.turns = merged(with_results_first(turns), joins_users);
    for pair in 1..conversation.turns.len() {
        sort_results(conversation.turns.get_mut(pair - 1..=pair).unwrap_or_default());
    }
    conversation.has_cache_marks |= has_cache_marks(conversation);
    begin_with_user(conversation, target);
}

/// Thoughts and signatures go to whoever issued them, and to nobody else. Thoughts that a Chat server showed are no
/// loss beside ones that the target itself issued: they are the same.
fn drop_foreign_thinking(turn: &mut Turn<'_>, target: Family, caller: Family, losses: &mut Losses) {
    let is_own = |block: &Block<'_>| match block {
        Block::Thinking(thought) => thought.issuer == target,
        Block::Call(call) => {
            (target == Family::Gemini && call.signature.is_some())
                || (target == Family::OpenaiChat && call.extra.is_some())
        }
        _ => false,
    };
    let has_own = turn.blocks.iter().any(is_own);
    let mut lost = false;
    turn.blocks.retain_mut(|block| match block {
        Block::Thinking(thought) if thought.issuer != target => {
            lost |= !(has_own && thought.issuer == Family::OpenaiChat);
            false
        }
        Block::Thinking(thought) => !thought.pieces().is_empty(),
        Block::Call(call) => {
            lost |= target != Family::Gemini && call.signature.take().is_some();
            if target != Family::OpenaiChat && call.extra.take().is_some() {
                // To a Chat caller it is a field of its own, whoever thought.
                match caller {
                    Family::OpenaiChat => losses.add("extra_content"),
                    _ => lost = true,
                }
            }
            true
        }
        _ => true,
    });
    if lost {
        losses.add(Field::Thinking.spelled(caller));
        turn.lost_thinking = true;
    }
}

/// A tool answers with texts and files.
fn clean_results(turn: &mut Turn<'_>) {
    for block in &mut turn.blocks {
        if let Block::Result(result) = block {
            result
                .content
                .retain(|block| matches!(block, Block::Text(_) | Block::Media(_)));
        }
    }
}

/// Instructions before the first turn go to the others of their kind.
fn lift_instructions<'a>(conversation: &mut Conversation<'a>, turns: &mut Vec<Turn<'a>>) {
    let leading = turns.iter().take_while(|turn| turn.role == Role::System).count();
    for turn in turns.drain(..leading) {
        for block in turn.blocks {
            if let Block::Text(text) = block {
                conversation.system.push(text);
            }
        }
    }
}

/// For dialects that take instructions at the beginning only: moving later ones there would break every prompt cache,
/// so the user says them, marked as what they are.
fn say_instructions_as_user(turns: &mut [Turn<'_>], caller: Family, losses: &mut Losses) {
    for turn in turns.iter_mut().filter(|turn| turn.role == Role::System) {
        losses.add(Field::System.spelled(caller));
        turn.role = Role::User;
        for block in &mut turn.blocks {
            if let Block::Text(text) = block {
                text.text = text.text.within("<system-reminder>\\n", "\\n</system-reminder>");
            }
        }
    }
}

/// Every result right after the turn that made the call, before anything else that was said since.
fn with_results_first(turns: Vec<Turn<'_>>) -> Vec<Turn<'_>> {
    let mut ordered: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
    // Where the results belong that come next: behind the last turn of the model.
    let mut anchor = 0;
    for mut turn in turns {
        if turn.role == Role::Assistant {
            ordered.push(turn);
            anchor = ordered.len();
            continue;
        }
        let is_result = |block: &Block<'_>| matches!(block, Block::Result(_));
        let (results, rest): (Vec<_>, Vec<_>) = turn.blocks.into_iter().partition(is_result);
        if !results.is_empty() {
            match ordered.get_mut(anchor) {
                Some(first) if first.blocks.first().is_some_and(is_result) => first.blocks.extend(results),
                _ => ordered.insert(anchor, Turn::of(Role::User, results)),
            }
        }
        if !rest.is_empty() {
            turn.blocks = rest;
            ordered.push(turn);
        }
    }
    ordered
}

/// The results in the order of the calls: some vendors match equal calls by it.
fn sort_results(pair: &mut [Turn<'_>]) {
    let [calling, answering] = pair else {
        return;
    };
    let results = answering
        .blocks
        .iter()
        .take_while(|block| matches!(block, Block::Result(_)));
    let results = results.count();
    if calling.role != Role::Assistant || results < 2 {
        return;
    }
    let calls = calling.blocks.iter().filter_map(|block| match block {
        Block::Call(call) => Some(call.id.as_ref()),
        _ => None,
    });
    let places: HashMap<&str, usize> = calls.enumerate().map(|(place, id)| (id, place)).collect();
    let place = |block: &Block<'_>| match block {
        Block::Result(result) => places.get(result.id.as_ref()).copied(),
        _ => None,
    };
    if let Some(results) = answering.blocks.get_mut(..results) {
        results.sort_by_key(|block| place(block).unwrap_or(usize::MAX));
    }
}

/// One turn where one side spoke several times in a row.
fn merged(turns: Vec<Turn<'_>>, joins_users: bool) -> Vec<Turn<'_>> {
    let mut merged: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
    for turn in turns {
        match merged.last_mut() {
            Some(last) if last.role == turn.role && (joins_users || turn.role != Role::User) => {
                last.blocks.extend(turn.blocks);
                last.lost_thinking |= turn.lost_thinking;
            }
            _ => merged.push(turn),
        }
    }
    merged
}

fn has_cache_marks(conversation: &Conversation<'_>) -> bool {
    let marked = |block: &Block<'_>| match block {
        Block::Text(text) => text.cache.is_some(),
        Block::Media(media) => media.cache.is_some(),
        Block::Call(call) => call.cache.is_some(),
        Block::Result(result) => result.cache.is_some(),
        Block::Thinking(_) => false,
    };
    conversation.system.iter().any(|part| part.cache.is_some())
        || conversation.tools.iter().any(|tool| tool.cache.is_some())
        || conversation.turns.iter().any(|turn| turn.blocks.iter().any(marked))
}

/// Anthropic and Gemini want to hear the user first. Instructions alone are what the user says.
fn begin_with_user(conversation: &mut Conversation<'_>, target: Family) {
    if conversation.turns.is_empty() {
        let said = std::mem::take(&mut conversation.system).into_iter().map(Block::Text);
        conversation.turns.push(Turn::of(Role::User, said.collect()));
    }
    let speaks_first = conversation.turns.first().map(|turn| turn.role);
    if matches!(target, Family::Anthropic | Family::Gemini) && speaks_first == Some(Role::Assistant) {
        let go_on = TextBlock::of(Text::from_plain("Continue the conversation."));
        let turn = Turn::of(Role::User, vec![Block::Text(go_on)]);
        conversation.turns.insert(0, turn);
    }
}
