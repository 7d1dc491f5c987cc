//! What is written down of a call that is over: its record, its log line, its span, its bodies.

use std::sync::atomic::Ordering;

use airside_protocols::ObjectWriter;
use serde_json::json;

use super::settle::Call;
use crate::log::Level;

impl Call {
    /// Put it into the journal, the log, and wherever else calls are kept.
    pub(super) fn write_down(&mut self) {
        if let Some(copy) = self.copy.take() {
            let record = &self.record;
            let become_of_them = self
                .gateway
                .recorder
                .take(copy, &record.call_id, &record.project, record.stream);
            self.record.bodies = Some(become_of_them);
        }
        self.write_record();
        if let Some(trace) = self.trace.take() {
            self.gateway.spans.take(&self.record, trace, self.family.name());
        }
        self.log();
    }

    fn write_record(&mut self) {
        let written = match self.ticket.take() {
            Some(ticket) => self.gateway.spool.finish(ticket, &self.record),
            None => self.gateway.spool.record(&self.record),
        };
        let failed = written.is_err();
        if let Err(fault) = written {
            let fields = json!({"call_id": self.record.call_id, "detail": fault.to_string()});
            self.gateway.log.error("journal_write_failed", fields);
        }
        self.gateway.notes.journal_failed.store(failed, Ordering::Relaxed);
    }

    fn log(&self) {
        if !self.gateway.log.wants(Level::Info) {
            return;
        }
        let record = &self.record;
        let mut line = Vec::with_capacity(768);
        let mut object = ObjectWriter::open(&mut line);
        object.word("event", "call_ended");
        object.word("level", "info");
        object.text("at", &record.at);
        object.text("call_id", &record.call_id);
        object.word("front_door", record.front_door);
        object.text("project", &record.project);
        object.optional_text("agent", record.agent_name.as_deref());
        object.optional_text("session", record.session_id.as_deref());
        object.optional_text("model", record.model.as_deref());
        object.optional_text("provider", record.provider.as_deref());
        object.optional_text("provider_model", record.provider_model.as_deref());
        object.word("outcome", record.outcome.name());
        object.number("status", record.status.into());
        object.optional_word("code", record.error_code);
        object.number("attempts", record.attempts.len() as u64);
        object.flag("stream", record.stream);
        object.number("input_tokens", record.usage.total_input());
        object.number("output_tokens", record.usage.output);
        object.number("cost_nanousd", record.cost_nanousd);
        object.number("total_us", record.timings.total_us);
        object.number("gateway_us", record.timings.gateway_us);
        object.number("snapshot", record.snapshot_version);
        object.close();
        self.gateway.log.push(line);
    }
}
