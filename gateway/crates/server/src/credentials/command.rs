//! A secret that a program writes, as `apiKeyHelper` and `credential_process` do.

use std::process::Stdio;
use std::time::Duration;

use airside_snapshot::Moment;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::obtained::Obtained;

const LONGEST: Duration = Duration::from_secs(30);
/// No secret is larger.
const MOST: u64 = 64 << 10;

/// Run a program without a shell and read what it writes.
pub(super) async fn run(argv: &[String], now: Moment) -> Result<Obtained, String> {
    let (program, arguments) = argv.split_first().ok_or_else(|| "it names no program".to_owned())?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it complains of may hold what it was to keep secret.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let output = child.stdout.take().ok_or_else(|| "it has no output".to_owned())?;
    let running = async {
        let mut content = Vec::new();
        output.take(MOST + 1).read_to_end(&mut content).await?;
        child.wait().await.map(|status| (status, content))
    };
    let ended = tokio::time::timeout(LONGEST, running).await;
    let ended = ended.map_err(|_| format!("it took longer than {} s", LONGEST.as_secs()))?;
    let (status, content) = ended.map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("it ended with {status}"));
    }
    if content.len() as u64 > MOST {
        return Err(format!("it wrote more than {MOST} bytes"));
    }
    Obtained::read(&content, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_here(argv: &[&str]) -> Result<Obtained, String> {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(run(&argv, Moment::from_seconds(0)))
    }

    #[test]
    fn what_a_program_writes_is_the_secret() {
        assert_eq!(run_here(&["printf", "s3\n"]), Ok(Obtained::text("s3", None)));
        // There is no shell that would take this apart.
        assert_eq!(run_here(&["printf", "%s", "$HOME"]), Ok(Obtained::text("$HOME", None)));
    }

    #[test]
    fn a_program_that_fails_says_so() {
        assert!(run_here(&["false"]).unwrap_err().contains("ended with"));
        assert!(
            run_here(&["/no/such/program"])
                .unwrap_err()
                .contains("cannot be started")
        );
        assert!(run_here(&[]).is_err());
    }
}
