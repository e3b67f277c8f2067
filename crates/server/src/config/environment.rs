//! The environment as a layer of the configuration, and warnings about names that look misspelt.
//!
//! Invariant: only `RYNJER_<SECTION>__<KEY>` and the vendors' own names (`RYNJER_OPENAI_API_KEY` …) set
//! anything; other `RYNJER_*` names may be somebody else's and pass.
//! Not here: the secrets themselves.

use rynjer_core::nearest::nearest;
use toml::Value;

use super::error::{ConfigError, Origin};
use super::load::{Layers, type_name};

const PREFIX: &str = "RYNJER_";

/// Vendors whose key turns them on.
const VENDORS: [&str; 8] = ["OPENAI", "GOOGLE", "XAI", "DASHSCOPE", "ARK", "FAL", "KIE", "REPLICATE"];

/// What each vendor's variables end with.
const VENDOR_ENDINGS: [&str; 3] = ["API_KEY", "API_KEY_FILE", "BASE_URL"];

/// Secrets of other services, each with its setting; `_FILE` behind the name is the setting's too.
const PEER_SECRETS: [(&str, &str); 3] = [
    ("RYNJER_MOLTBOOK_APP_KEY", "moltbook.app_key"),
    ("RYNJER_STRIPE_SECRET_KEY", "stripe.secret_key"),
    ("RYNJER_STRIPE_WEBHOOK_SECRET", "stripe.webhook_secret"),
];

/// Names beside the vendors' that mean something to this program.
const OTHER_NAMES: [&str; 6] = [
    "RYNJER_MASTER_KEY",
    "RYNJER_MASTER_KEY_FILE",
    "RYNJER_BASE_URL",
    "RYNJER_ACCESS_TOKEN",
    "RYNJER_AGENT_API_KEY",
    "RYNJER_REFRESH_TOKEN",
];

/// Letters that a name may be off to look like a misspelt one.
const MISSPELT: usize = 2;

/// Sets what the environment sets; the warnings come back sorted by variable name, errors are of the
/// first name.
pub(super) fn lay(
    layers: &mut Layers,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Vec<String>, ConfigError> {
    let mut pairs: Vec<(String, String)> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    pairs.sort();
    let mut warnings = Vec::new();
    for (variable, text) in pairs {
        if variable.contains("__") {
            set(layers, &variable, &text)?;
        } else if let Some(name) = vendor_setting(&variable).or_else(|| peer_setting(&variable)) {
            let origin = Origin::Environment(variable.clone());
            layers.set(&name, Value::String(text), &origin)?;
        } else {
            warnings.extend(misspelt(layers, &variable));
        }
    }
    Ok(warnings)
}

/// The setting behind `RYNJER_OPENAI_API_KEY` and its like.
fn vendor_setting(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix(PREFIX)?;
    let vendor = VENDORS.into_iter().find(|vendor| rest.starts_with(&format!("{vendor}_")))?;
    let ending = rest.get(vendor.len() + 1..)?;
    let known = VENDOR_ENDINGS.contains(&ending);
    known.then(|| format!("{}.{}", vendor.to_ascii_lowercase(), ending.to_ascii_lowercase()))
}

/// The setting behind `RYNJER_MOLTBOOK_APP_KEY` and its like.
fn peer_setting(variable: &str) -> Option<String> {
    let whole = PEER_SECRETS.iter().find(|(name, _)| *name == variable);
    let file = PEER_SECRETS.iter().find(|(name, _)| variable.strip_suffix("_FILE") == Some(*name));
    whole.map(|(_, setting)| (*setting).to_owned()).or(file.map(|(_, setting)| format!("{setting}_file")))
}

fn variable_of(name: &str) -> String {
    format!("{PREFIX}{}", name.replacen('.', "__", 1).to_ascii_uppercase())
}

fn set(layers: &mut Layers, variable: &str, text: &str) -> Result<(), ConfigError> {
    let origin = Origin::Environment(variable.to_owned());
    let name = layers.names().find(|name| variable_of(name) == variable).map(str::to_owned);
    let Some(name) = name else {
        let guess = variable.trim_start_matches(PREFIX).to_ascii_lowercase().replacen("__", ".", 1);
        return Err(in_its_form(layers.unknown(&guess, &origin), layers));
    };
    let Some(default) = layers.value(&name) else {
        return Err(layers.unknown(&name, &origin));
    };
    let Some(value) = convert(default, text) else {
        return Err(ConfigError::WrongType {
            key: name.clone(),
            expected: type_name(default).to_owned(),
            found: format!("{text:?}"),
            origin,
        });
    };
    layers.set(&name, value, &origin)
}

/// The text as the type that the setting has; `None` if it isn't one.
fn convert(default: &Value, text: &str) -> Option<Value> {
    match default {
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Array(_) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Some(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
        }
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}

/// Says the name that was meant as a variable, since a variable is what has to be mended.
fn in_its_form(error: ConfigError, layers: &Layers) -> ConfigError {
    let ConfigError::UnknownKey { key, hint, origin } = error else { return error };
    let near = layers.names().find(|name| hint == format!("did you mean {name}?"));
    let hint = near.map_or(hint.clone(), |name| format!("did you mean {}?", variable_of(name)));
    ConfigError::UnknownKey { key, hint, origin }
}

fn vendor_names() -> Vec<String> {
    let of = |vendor| VENDOR_ENDINGS.iter().map(move |ending| format!("{PREFIX}{vendor}_{ending}"));
    VENDORS.into_iter().flat_map(of).collect()
}

fn peer_names() -> Vec<String> {
    PEER_SECRETS.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("{name}_FILE")]).collect()
}

/// A sentence about a variable that this program ignores but that its operator probably meant.
fn misspelt(layers: &Layers, variable: &str) -> Option<String> {
    let names = [vendor_names(), peer_names()].concat();
    let mut known: Vec<&str> = names.iter().map(String::as_str).collect();
    known.extend(OTHER_NAMES);
    if known.contains(&variable) {
        return None;
    }
    let with_one_underscore = |name: &&str| variable_of(name).replacen("__", "_", 1) == variable;
    let meant = match nearest(variable, known.iter().copied(), MISSPELT) {
        Some(near) => near.to_owned(),
        None => match layers.names().find(with_one_underscore) {
            Some(name) => variable_of(name),
            None => format!("{PREFIX}{}_API_KEY", vendor_of_a_key(variable)?),
        },
    };
    Some(format!("{variable} is ignored; did you mean {meant}?"))
}

/// The vendor in names such as `RYNJER_OPENAI_KEY`, too far from the right one to be a slip of the
/// finger.
fn vendor_of_a_key(variable: &str) -> Option<&'static str> {
    let (vendor, rest) = variable.strip_prefix(PREFIX)?.split_once('_')?;
    let about_a_key = ["KEY", "TOKEN", "SECRET"].iter().any(|word| rest.contains(word));
    VENDORS.into_iter().find(|known| about_a_key && *known == vendor)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn warnings(names: &[&str]) -> Vec<String> {
        let value = |name: &str| if name.ends_with("URL") { "http://127.0.0.1:1/v1" } else { "secret" };
        let env = names.iter().map(|name| ((*name).to_owned(), value(name).to_owned()));
        Config::load(None, env, toml::Table::new()).unwrap().warnings
    }

    #[test]
    fn right_and_foreign_names_pass_in_silence() {
        for name in [vendor_names(), peer_names()].concat() {
            assert_eq!(warnings(&[&name]), Vec::<String>::new());
        }
        let others =
            ["RYNJER_DATA_DIR", "RYNJER_FOO", "RYNJER_", "OPENAI_API_KEY", "RYNJERS_OPENAI_API_KEYS"];
        assert_eq!(warnings(&OTHER_NAMES), Vec::<String>::new());
        assert_eq!(warnings(&others), Vec::<String>::new());
    }

    #[test]
    fn slips_of_the_finger_are_told() {
        let rows = [
            ("RYNJER_OPENAI_API_KEYS", "RYNJER_OPENAI_API_KEY"),
            ("RYNJER_OPENIA_API_KEY", "RYNJER_OPENAI_API_KEY"),
            ("RYNJER_GOGLE_API_KEY_FILE", "RYNJER_GOOGLE_API_KEY_FILE"),
            ("RYNJER_REPLICATE_BASEURL", "RYNJER_REPLICATE_BASE_URL"),
            ("RYNJER_MASTR_KEY", "RYNJER_MASTER_KEY"),
            ("RYNJER_OPENAI_KEY", "RYNJER_OPENAI_API_KEY"),
            ("RYNJER_REPLICATE_API_TOKEN", "RYNJER_REPLICATE_API_KEY"),
            ("RYNJER_SERVER_LISTEN", "RYNJER_SERVER__LISTEN"),
            ("RYNJER_MOLTBOK_APP_KEY", "RYNJER_MOLTBOOK_APP_KEY"),
            ("RYNJER_MOLTBOOK_APP_KEYFILE", "RYNJER_MOLTBOOK_APP_KEY_FILE"),
        ];
        for (name, meant) in rows {
            assert_eq!(warnings(&[name]), [format!("{name} is ignored; did you mean {meant}?")]);
        }
        assert_eq!(
            warnings(&["RYNJER_XAI_API_KEYS", "RYNJER_FAL_API_KEYS"]),
            [
                "RYNJER_FAL_API_KEYS is ignored; did you mean RYNJER_FAL_API_KEY?",
                "RYNJER_XAI_API_KEYS is ignored; did you mean RYNJER_XAI_API_KEY?"
            ]
        );
    }
}
