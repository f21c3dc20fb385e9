//! Which image a service runs once its file has changed: the file's, or one deployed by hand.
//!
//! An image deployed by hand stays through every edit but one of the image itself. A reload and a
//! plan report each image that differs from the file's, or will be another one.

use crate::service::spec::{ServiceName, Template, Version};
use crate::service::time::Coarse;
use std::fmt;
use std::time::Duration;

/// Rule for images that were deployed by hand, at a reload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Images {
    /// Each stays, unless the file names another one than at its deploy.
    #[default]
    Keep,
    FromFile,
}

impl Images {
    /// The version that `declared` asks for while `version` is in use.
    pub(super) fn under(self, version: &Version, declared: &Template) -> Version {
        match self {
            Images::Keep => version.under(declared),
            Images::FromFile => Version::of(declared.clone()),
        }
    }
}

/// An image that changes, or that stays although the file says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageNote {
    pub service: ServiceName,
    pub from: String,
    pub to: String,
    /// The file's image.
    pub file: String,
    /// How long ago `from` was deployed by hand.
    pub deployed: Option<Duration>,
}

impl ImageNote {
    /// `clock`: the time of day.
    pub(super) fn of(
        service: &ServiceName,
        before: &Version,
        after: &Version,
        declared: &Template,
        clock: Duration,
    ) -> Option<ImageNote> {
        let (from, to) = (&before.template.image, &after.template.image);
        if from == to && (after.manual.is_none() || *to == declared.image) {
            return None;
        }
        let at = |at: u64| clock.saturating_sub(Duration::from_secs(at));
        Some(ImageNote {
            service: service.clone(),
            from: from.clone(),
            to: to.clone(),
            file: declared.image.clone(),
            deployed: before.manual.as_ref().map(|manual| at(manual.at)),
        })
    }
}

impl fmt::Display for ImageNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ImageNote {
            service,
            from,
            to,
            file,
            deployed,
        } = self;
        if from == to {
            write!(f, "{service}: image {to} stays (")?;
            if let Some(ago) = deployed {
                write!(f, "deployed by hand {} ago; ", Coarse(*ago))?;
            }
            return write!(
                f,
                "the file says {file}, and `tidegate reload --image-from-file` goes back to it)"
            );
        }
        write!(f, "{service}: image {from} → {to}")?;
        match deployed {
            Some(ago) => write!(f, " (the file's; deployed by hand {} ago)", Coarse(*ago)),
            None => Ok(()),
        }
    }
}
