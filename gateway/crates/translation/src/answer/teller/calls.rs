//! Calls of tools: by the caller's names and in the caller's kinds.

use super::block::{Block, Call, Writer};
use super::{Open, Teller};
use crate::answer::custom::{Unwrapping, escaped};
use crate::answer::heard::CallHead;
use crate::answer::sequence::is_one_object;
use crate::loss::Loss;
use crate::plan::ToolKind;

impl Teller {
    pub(super) fn call(&mut self, head: CallHead, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        self.said(head.name.len());
        let number = self.all_calls;
        self.all_calls += 1;
        if self.plan.output_tool.as_deref() == Some(head.name.as_str()) {
            if std::mem::replace(&mut self.has_output, true) {
                self.losses.insert(Loss::of("second_output"));
                return;
            }
            if self.open != Open::Text {
                self.begin(Block::Text, Open::Text, writer, out);
            }
            self.open = Open::Output;
            return;
        }
        if self.plan.compacts {
            // Nobody waits for its result.
            self.shut(writer, out);
            self.losses.insert(Loss::of("tool_call"));
            return;
        }
        self.write_preamble(writer, out);
        let tool = self.plan.tools.client_tool(&head.name);
        let open = match (tool.kind, head.is_free_text) {
            (ToolKind::Custom, true) => Open::Arguments { any: true },
            (ToolKind::Custom, false) => Open::Input,
            (_, true) => Open::Wrapped,
            (kind, false) if self.holds_calls || kind == ToolKind::LocalShell => Open::Held,
            (_, false) => Open::Arguments { any: false },
        };
        let (id, sealed) = self.identity(head, number);
        let block = Block::Call(Call { id, tool, sealed });
        self.unwrapping = Unwrapping::default();
        if open == Open::Held {
            self.shut(writer, out);
            self.held = Some((block, String::new()));
            self.open = open;
            return;
        }
        self.calls += 1;
        self.begin(block, open, writer, out);
        if open == Open::Wrapped {
            writer.piece("{\"input\":\"", out);
        }
    }

    pub(super) fn arguments(&mut self, piece: &str, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.said(piece.len());
        match self.open {
            Open::Arguments { .. } => {
                self.open = Open::Arguments { any: true };
                writer.piece(piece, out);
            }
            Open::Output => writer.piece(piece, out),
            Open::Wrapped => writer.piece(&escaped(piece), out),
            Open::Input => {
                let text = self.unwrapping.push(piece);
                if !text.is_empty() {
                    writer.piece(&text, out);
                }
            }
            Open::Held => {
                if let Some((_, held)) = &mut self.held {
                    held.push_str(piece);
                }
            }
            Open::Nothing | Open::Text | Open::Refusal | Open::Thinking => {}
        }
    }

    pub(super) fn call_over(&mut self, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        if matches!(self.open, Open::Nothing | Open::Text | Open::Refusal | Open::Thinking) {
            return;
        }
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Held => return self.write_held(writer, out),
            // A caller that parses the arguments must find JSON even where the target wrote nothing.
            Open::Arguments { any: false } => writer.piece("{}", out),
            Open::Nothing | Open::Text | Open::Refusal | Open::Thinking | Open::Arguments { any: true } => {}
            Open::Output => {
                self.open = Open::Text;
                return;
            }
            Open::Wrapped => writer.piece("\"}", out),
            Open::Input => {
                let rest = self.unwrapping.finish();
                if !rest.is_empty() {
                    writer.piece(&rest, out);
                }
            }
        }
        writer.close(None, out);
    }

    fn write_held(&mut self, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        let Some((block, arguments)) = self.held.take() else {
            return;
        };
        let arguments = if arguments.trim_ascii().is_empty() {
            "{}"
        } else {
            arguments.as_str()
        };
        if !is_one_object(arguments) {
            // Half of a call must not be run as if it were one.
            self.broken_calls += 1;
            self.losses.insert(Loss::of("tool_arguments"));
            return;
        }
        self.calls += 1;
        self.begin(block, Open::Nothing, writer, out);
        writer.piece(arguments, out);
        writer.close(None, out);
    }
}
