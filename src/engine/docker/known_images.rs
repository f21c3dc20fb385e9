//! Memory of images that were inspected.

use super::labels::Labels;
use super::lock::held;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Labels of an image never change, so they are kept. Beyond this many images all are forgotten.
const IMAGES_MAX: usize = 1024;

/// Our labels on images, by the image's id.
#[derive(Default)]
pub struct KnownImages(Mutex<HashMap<String, Arc<Labels>>>);

impl KnownImages {
    pub fn get(&self, image: &str) -> Option<Arc<Labels>> {
        held(&self.0).get(image).map(Arc::clone)
    }

    pub fn insert(&self, image: &str, labels: Arc<Labels>) {
        let mut images = held(&self.0);
        if images.len() >= IMAGES_MAX {
            images.clear();
        }
        images.insert(image.to_owned(), labels);
    }
}
