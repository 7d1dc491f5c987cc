//! A secret in a file, as a mounted secret of an orchestrator is.

use std::io::Read as _;

use airside_snapshot::Moment;

use super::obtained::Obtained;

/// No secret is larger.
const MOST: u64 = 64 << 10;

pub(super) fn read(path: &str, now: Moment) -> Result<Obtained, String> {
    let open = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut content = Vec::new();
    open.take(MOST + 1)
        .read_to_end(&mut content)
        .map_err(|error| error.to_string())?;
    if content.len() as u64 > MOST {
        return Err(format!("it is larger than {MOST} bytes"));
    }
    Obtained::read(&content, now)
}
