//! A template under its name.

use super::manual::ManualDeploy;
use super::name::SpecHash;
use super::template::Template;
use std::fmt;

/// A template under a name. The name differs from the hash where containers exist already that were
/// created before their image was pinned: their name stays, so that they need not be replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    pub hash: SpecHash,
    pub template: Template,
    /// `None`: the image is that of the file.
    pub manual: Option<ManualDeploy>,
}

impl Version {
    /// The version named by its hash.
    pub fn of(template: Template) -> Version {
        Version {
            hash: template.hash(),
            template,
            manual: None,
        }
    }

    /// The version for `declared` while this one is in use: an image deployed by hand stays, unless
    /// the image of the file has changed since.
    pub fn under(&self, declared: &Template) -> Version {
        let is_kept = |manual: &&ManualDeploy| manual.file_image == declared.image;
        let Some(manual) = self.manual.as_ref().filter(is_kept) else {
            return Version::of(declared.clone());
        };
        let template = Template {
            image: self.template.image.clone(),
            image_id: self.template.image_id.clone(),
            ..declared.clone()
        };
        Version {
            manual: Some(manual.clone()),
            ..Version::of(template)
        }
    }

    /// Whether the values of its secrets are still those of its hash.
    pub fn has_its_secrets(&self) -> bool {
        let unpinned = || Template {
            image_id: None,
            ..self.template.clone()
        };
        self.template.secrets.is_empty()
            || self.template.hash() == self.hash
            || unpinned().hash() == self.hash
    }

    /// Whether both templates are equal but for the identity of the image and the first port.
    pub fn is_named_like(&self, other: &Template) -> bool {
        let named = |template: &Template| Template {
            image_id: None,
            first_port: 0,
            ..template.clone()
        };
        named(&self.template) == named(other)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.template.image)?;
        match &self.template.image_id {
            Some(id) => write!(f, " ({id})"),
            None => Ok(()),
        }
    }
}
