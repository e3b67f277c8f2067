//! What a credential may do: four scopes and small sets of them.
//!
//! Invariant: a set holds known scopes only and always lists them in one order.
//! Not here: which route needs which scope, and what an owner granted (stored by the caller).

use crate::nearest::nearest_all;
use std::fmt;

/// One permission of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Generate images.
    Image,
    /// Generate videos.
    Video,
    /// Generate music.
    Music,
    /// Read the balance and the usage.
    CreditsRead,
}

impl Scope {
    /// Every scope, in the order of all lists.
    pub const EACH: [Self; 4] = [Self::Image, Self::Video, Self::Music, Self::CreditsRead];

    /// The scope as the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Music => "music",
            Self::CreditsRead => "credits:read",
        }
    }

    /// The scope of that exact text.
    ///
    /// # Errors
    /// Names the text and the scope that may be meant.
    pub fn parse(text: &str) -> Result<Self, UnknownScope> {
        Self::EACH.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| UnknownScope {
            name: text.to_owned(),
            nearest: nearest_all(text, Self::EACH.map(Self::as_str), 1).first().copied(),
        })
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Image => 1,
            Self::Video => 2,
            Self::Music => 4,
            Self::CreditsRead => 8,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope {name:?}{}", suggestion(*nearest))]
pub struct UnknownScope {
    /// The text as it came.
    pub name: String,
    /// The scope that may be meant.
    pub nearest: Option<&'static str>,
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|known| format!("; did you mean {known:?}?")).unwrap_or_default()
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// No scope.
    pub const NONE: Self = Self(0);
    /// All four.
    pub const ALL: Self =
        Self(Scope::Image.bit() | Scope::Video.bit() | Scope::Music.bit() | Scope::CreditsRead.bit());

    /// The set of a list of texts; one that comes twice counts once.
    ///
    /// # Errors
    /// Names the first unknown one.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, UnknownScope> {
        texts.into_iter().map(|text| Scope::parse(text.as_ref())).collect()
    }

    /// The set of a space-separated text, as `to_text` writes it.
    ///
    /// # Errors
    /// Names the first unknown one.
    pub fn from_text(text: &str) -> Result<Self, UnknownScope> {
        Self::parse(text.split_ascii_whitespace())
    }

    /// The set as one space-separated text.
    #[must_use]
    pub fn to_text(self) -> String {
        let texts: Vec<&str> = self.iter().map(Scope::as_str).collect();
        texts.join(" ")
    }

    /// Whether the scope is in the set.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether each scope of this set is in the other.
    #[must_use]
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of this set that the other lacks.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The scopes in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes in their fixed order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::EACH.into_iter().filter(move |&scope| self.contains(scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_survives_its_text() {
        for bits in 0..=Scopes::ALL.0 {
            let set = Scopes(bits);
            assert_eq!(Scopes::from_text(&set.to_text()), Ok(set));
            assert_eq!(set.iter().collect::<Scopes>(), set);
            assert!(set.is_subset(Scopes::ALL));
            assert!(Scopes::NONE.is_subset(set));
            assert_eq!(set.is_subset(Scopes::NONE), set.is_empty());
        }
        assert_eq!(Scopes::ALL.to_text(), "image video music credits:read");
        assert_eq!(Scopes::NONE.to_text(), "");
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let set = Scopes::parse(["credits:read", "image", "image"]).unwrap();
        assert_eq!(set.to_text(), "image credits:read");
        assert!(set.contains(Scope::Image) && !set.contains(Scope::Video));
        let images = Scopes::parse(["image"]).unwrap();
        assert!(images.is_subset(set) && !set.is_subset(images));
        assert_eq!(set.without(images).to_text(), "credits:read");
        assert_eq!(set.intersection(images), images);
        assert_eq!(format!("{set:?}"), "{Image, CreditsRead}");
    }

    #[test]
    fn unknown_scopes_are_named_with_their_nearest() {
        for (text, nearest) in [
            ("images", Some("image")),
            ("Image", Some("image")),
            ("credits_read", Some("credits:read")),
            ("credits", Some("credits:read")),
            ("vidoe", Some("video")),
            ("admin", None),
            ("", None),
        ] {
            let error = Scopes::parse(["music", text]).unwrap_err();
            assert_eq!(error, UnknownScope { name: text.to_owned(), nearest });
        }
        let error = Scope::parse("images").unwrap_err();
        assert_eq!(error.to_string(), "unknown scope \"images\"; did you mean \"image\"?");
        assert_eq!(Scope::parse("admin").unwrap_err().to_string(), "unknown scope \"admin\"");
    }
}
