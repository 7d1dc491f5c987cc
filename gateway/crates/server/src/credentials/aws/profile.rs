//! What a profile of AWS's shared files leads to.

use std::collections::HashMap;

use airside_providers::AwsKeys;

use super::region;
use super::sso::Login;
use crate::options::environment;

/// More roles than this in a row are a mistake.
const MOST_ROLES: usize = 8;

type Settings = HashMap<String, String>;

/// The two shared files.
#[derive(Debug, Default)]
pub(super) struct Files {
    credentials: String,
    config: String,
}

/// A role that is assumed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) seconds: Option<String>,
    pub(super) region: Option<String>,
}

/// Where the keys are from that the first role is assumed with, or that are used as they are.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Start {
    Keys(AwsKeys),
    /// A program and its arguments.
    Process(Vec<String>),
    SignOn(Login),
    /// A role for a token in a file.
    WebIdentity(Role, String),
    Environment,
    Container,
    Instance,
}

/// From keys to keys; the last role is the profile's own.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) start: Start,
    pub(super) roles: Vec<Role>,
}

impl Files {
    /// The files, where the environment says or in their usual place. One that is not there is empty.
    pub(super) fn read() -> Self {
        let home = environment("HOME").unwrap_or_default();
        let read = |name: &str, usual: &str| {
            let path = environment(name).unwrap_or_else(|| format!("{home}/.aws/{usual}"));
            std::fs::read_to_string(path).unwrap_or_default()
        };
        Self {
            credentials: read("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            config: read("AWS_CONFIG_FILE", "config"),
        }
    }

    /// The way to the keys of a profile; `None` where the files say nothing of it.
    pub(super) fn way_to(&self, profile: &str) -> Result<Option<Way>, String> {
        let (mut roles, mut seen, mut name) = (Vec::new(), Vec::new(), profile.to_owned());
        loop {
            let settings = self.profile(&name);
            let source = settings
                .get("source_profile")
                .filter(|_| settings.contains_key("role_arn"));
            let is_of_its_own_keys = source == Some(&name);
            if let Some(source) = source.filter(|_| !is_of_its_own_keys).cloned() {
                roles.push(role_in(&name, &settings)?);
                seen.push(std::mem::replace(&mut name, source));
                if seen.contains(&name) || roles.len() >= MOST_ROLES {
                    return Err(format!("the source_profile of profile '{profile}' leads nowhere"));
                }
                continue;
            }
            if is_of_its_own_keys {
                roles.push(role_in(&name, &settings)?);
            }
            let start = match self.start_of(&name, &settings, is_of_its_own_keys)? {
                None if name == profile && roles.is_empty() => return Ok(None),
                None => return Err(format!("the shared files have no keys under profile '{name}'")),
                Some((start, role)) => {
                    roles.extend(role);
                    start
                }
            };
            roles.reverse();
            return Ok(Some(Way { start, roles }));
        }
    }

    /// Where the keys of a profile begin that needs no other profile, and the role they are for.
    fn start_of(
        &self,
        name: &str,
        settings: &Settings,
        keys_only: bool,
    ) -> Result<Option<(Start, Option<Role>)>, String> {
        let text = |key: &str| settings.get(key).cloned();
        if settings.contains_key("role_arn") && !keys_only {
            let role = role_in(name, settings)?;
            if let Some(file) = text("web_identity_token_file") {
                return Ok(Some((Start::WebIdentity(role, file), None)));
            }
            let start = match settings.get("credential_source").map(String::as_str) {
                Some("Environment") => Start::Environment,
                Some("EcsContainer") => Start::Container,
                Some("Ec2InstanceMetadata") => Start::Instance,
                _ => {
                    return Err(format!(
                        "profile '{name}' names a role, and neither a source_profile nor a credential_source it knows"
                    ));
                }
            };
            return Ok(Some((start, Some(role))));
        }
        if settings.keys().any(|key| key.starts_with("sso_")) && !keys_only {
            return self
                .login(name, settings)
                .map(|login| Some((Start::SignOn(login), None)));
        }
        if let Some(keys) = keys_in(settings) {
            return Ok(Some((Start::Keys(keys), None)));
        }
        Ok(settings
            .get("credential_process")
            .map(|line| (Start::Process(words(line)), None)))
    }

    fn login(&self, name: &str, profile: &Settings) -> Result<Login, String> {
        let session = profile.get("sso_session");
        let settings = session.map_or_else(Settings::default, |session| {
            section(&self.config, &[&format!("sso-session {session}")])
        });
        let needed = |key: &str| {
            let found = profile.get(key).or_else(|| settings.get(key));
            found
                .cloned()
                .ok_or_else(|| format!("profile '{name}' needs {key} for single sign-on"))
        };
        let start_url = needed("sso_start_url")?;
        Ok(Login {
            profile: name.to_owned(),
            cached_as: session.cloned().unwrap_or(start_url),
            region: needed("sso_region")?,
            account: needed("sso_account_id")?,
            role: needed("sso_role_name")?,
        })
    }

    /// What both files say of a profile; the file of credentials has the last word.
    fn profile(&self, name: &str) -> Settings {
        let mut settings = section(&self.config, &[name, &format!("profile {name}")]);
        settings.extend(section(&self.credentials, &[name]));
        settings
    }
}

impl Role {
    /// A role of which no more is said than its name.
    pub(super) fn named(arn: String, session: Option<String>) -> Self {
        Self {
            arn,
            session,
            region: region(),
            ..Self::default()
        }
    }
}

fn role_in(profile: &str, settings: &Settings) -> Result<Role, String> {
    let text = |key: &str| settings.get(key).cloned();
    if settings.contains_key("mfa_serial") {
        return Err(format!(
            "profile '{profile}' asks for a code of a device (mfa_serial), which nobody can type here: use single \
             sign-on or a credential_process"
        ));
    }
    Ok(Role {
        session: text("role_session_name"),
        external_id: text("external_id"),
        seconds: text("duration_seconds"),
        region: text("region").or_else(region),
        ..Role::named(text("role_arn").unwrap_or_default(), None)
    })
}

fn keys_in(settings: &Settings) -> Option<AwsKeys> {
    Some(AwsKeys {
        access_key_id: settings.get("aws_access_key_id")?.clone(),
        secret_access_key: settings.get("aws_secret_access_key")?.clone(),
        session_token: settings.get("aws_session_token").cloned(),
    })
}

/// The settings of the first of these sections.
fn section(file: &str, names: &[&str]) -> Settings {
    let mut settings = HashMap::new();
    let mut is_inside = false;
    for line in file.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_inside = names.contains(&name.trim());
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_inside && !line.starts_with('#')) {
            settings.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    settings
}

/// A command line in words; quotes keep spaces.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(credentials: &str, config: &str) -> Files {
        Files {
            credentials: credentials.to_owned(),
            config: config.to_owned(),
        }
    }

    fn way(config: &str, profile: &str) -> Result<(Option<String>, Vec<String>), String> {
        let keys = "[base]\naws_access_key_id = A\naws_secret_access_key = S=\n";
        let way = files(keys, config).way_to(profile)?;
        let Some(way) = way else { return Ok((None, Vec::new())) };
        let start = match way.start {
            Start::Keys(keys) => keys.access_key_id,
            Start::Process(line) => line.join(","),
            Start::SignOn(login) => format!("{} {} {}", login.cached_as, login.region, login.role),
            Start::WebIdentity(role, file) => format!("{} {file}", role.arn),
            Start::Environment => "environment".to_owned(),
            Start::Container => "container".to_owned(),
            Start::Instance => "instance".to_owned(),
        };
        Ok((Some(start), way.roles.into_iter().map(|role| role.arn).collect()))
    }

    #[test]
    fn a_profile_leads_to_keys_and_the_roles_assumed_with_them() {
        let config = "[default]\nregion = us-east-1\n# a = b\n\
            [profile one]\nrole_arn = first\nsource_profile = base\n\
            [profile two]\nrole_arn = second\nsource_profile = one\n\
            [profile self]\nrole_arn = own\nsource_profile = self\naws_access_key_id = B\naws_secret_access_key = S\n\
            [profile here]\nrole_arn = r\ncredential_source = EcsContainer\n\
            [profile token]\nrole_arn = r\nweb_identity_token_file = /t\n\
            [profile program]\ncredential_process = /bin/p 'a b'\n\
            [profile login]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = dev\n\
            [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp\n\
            [profile old]\nsso_start_url = https://old\nsso_region = us-west-2\nsso_account_id = 1\nsso_role_name = ops\n\
            [profile far]\nrole_arn = far\nsource_profile = login\n";
        for (profile, start, roles) in [
            ("base", "A", &[][..]),
            ("one", "A", &["first"]),
            ("two", "A", &["first", "second"]),
            ("self", "B", &["own"]),
            ("here", "container", &["r"]),
            ("token", "r /t", &[]),
            ("program", "/bin/p,a b", &[]),
            ("login", "corp eu-west-1 dev", &[]),
            ("old", "https://old us-west-2 ops", &[]),
            ("far", "corp eu-west-1 dev", &["far"]),
        ] {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            assert_eq!(way(config, profile), Ok((Some(start.to_owned()), roles)), "{profile}");
        }
        for profile in ["default", "nobody"] {
            assert_eq!(way(config, profile), Ok((None, Vec::new())), "{profile}");
        }
    }

    #[test]
    fn a_profile_that_leads_nowhere_says_so() {
        for (config, part) in [
            (
                "[p]\nrole_arn = r\nsource_profile = q\n[q]\nrole_arn = r\nsource_profile = p\n",
                "leads nowhere",
            ),
            ("[p]\nrole_arn = r\nsource_profile = q\n", "no keys under profile 'q'"),
            ("[p]\nrole_arn = r\n", "neither a source_profile nor"),
            (
                "[p]\nrole_arn = r\nsource_profile = base\nmfa_serial = m\n",
                "mfa_serial",
            ),
            ("[p]\nsso_session = s\n", "needs sso_start_url"),
        ] {
            let problem = way(config, "p").unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn a_command_line_is_taken_apart_without_a_shell() {
        assert_eq!(words("a  'b c' d\"e f\"g ''"), ["a", "b c", "de fg", ""]);
        assert!(words("  ").is_empty());
    }
}
