//! Uploads: acts over ten categories, each made from its number alone, so that another run knows
//! what it should find.

use crate::picture::{self, Look, Near};
use crate::random::Random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

pub struct Category {
    pub name: &'static str,
    look: Look,
    captions: [&'static str; 4],
}

const fn look(sky: [u32; 2], ground: [u32; 2], sun: u32, near: Near) -> Look {
    Look {
        sky,
        ground,
        sun,
        near,
    }
}

#[rustfmt::skip]
pub const CATEGORIES: [Category; 10] = [
    Category {
        name: "Trees",
        look: look([0x6fb7d6, 0xdcefe6], [0x6fa58c, 0x1f5c46], 0xfff3cf, Near::Firs),
        captions: ["Planted an oak behind the school", "Watered the young limes", "Six firs for the slope", "Staked the cherry after the storm"],
    },
    Category {
        name: "Shores",
        look: look([0x4aa3d8, 0xe4f3f7], [0x5fb6c9, 0x11607f], 0xfffbe6, Near::Sea),
        captions: ["Two bags of plastic off the beach", "Freed a net from the rocks", "Swept the slipway", "Counted the terns"],
    },
    Category {
        name: "Neighbours",
        look: look([0xf0a36b, 0xfbe3c0], [0xc98a63, 0x6b4238], 0xfff0c2, Near::Houses),
        captions: ["Carried shopping up to the fourth floor", "Fixed the gate of number nine", "Sat with Mrs Alvarez", "Lent out the long ladder"],
    },
    Category {
        name: "Gardens",
        look: look([0x9ad0e8, 0xf3f6dd], [0xa9c46c, 0x4c7d34], 0xfff6d8, Near::Flowers),
        captions: ["Weeded the school beds", "Seeds for the roundabout", "Compost for everybody", "A bench under the pear tree"],
    },
    Category {
        name: "Night walks",
        look: look([0x0d1b3d, 0x35507f], [0x2b4568, 0x0a1628], 0xf4efd6, Near::Stars),
        captions: ["Walked Sami home", "New bulbs for the underpass", "Hot tea at the station", "Found the lost dog"],
    },
    Category {
        name: "Trails",
        look: look([0xe88f7a, 0xfbd9b9], [0xb56f6a, 0x4a2f48], 0xffe6b0, Near::Firs),
        captions: ["Cleared the path to the ridge", "Painted the waymarks again", "Built three steps", "Took the litter down"],
    },
    Category {
        name: "Winter",
        look: look([0x9fb6d3, 0xf1f4fa], [0xdce6f2, 0xaebfd6], 0xffffff, Near::Firs),
        captions: ["Shovelled the whole street", "Grit on the church steps", "Fed the birds", "Coats for the shelter"],
    },
    Category {
        name: "Harbour",
        look: look([0xf6a65f, 0xfde0b5], [0xc97f6a, 0x3a3f6b], 0xfff1c9, Near::Sea),
        captions: ["Pumped out the old ferry", "Taught four children to row", "Mended a sail", "Oil off the water in time"],
    },
    Category {
        name: "Meals",
        look: look([0xd9b6dc, 0xfce8ea], [0xd39ab0, 0x8a4f72], 0xfff4dc, Near::Houses),
        captions: ["Soup for forty", "Bread to the night shift", "Sunday lunch for the block", "A cake for the new family"],
    },
    Category {
        name: "Meadows",
        look: look([0x5fc0c4, 0xf0f7d0], [0x8fce8e, 0x2d8a63], 0xfffadb, Near::Flowers),
        captions: ["Mowed late, for the bees", "A fence for the pond", "Counted forty butterflies", "Pulled the ragwort"],
    },
];

const PEOPLE: [&str; 8] = [
    "Ada", "Björn", "Chiara", "Devi", "Emeka", "Fatima", "Goran", "Hana",
];

/// Runs with other seeds upload other acts.
const RUN: u64 = 1 << 20;

pub struct Act {
    pub id: u64,
    pub category: &'static Category,
    pub image: Vec<u8>,
    number: u64,
}

impl Act {
    pub fn new(seed: u64, number: u64) -> Act {
        let id = seed % RUN * RUN + number;
        let category = &CATEGORIES[number as usize % CATEGORIES.len()];
        Act {
            id,
            category,
            image: picture::draw(id, &category.look),
            number,
        }
    }

    /// As the service takes it.
    pub fn body(&self) -> String {
        let mut random = Random::new(self.id + 1);
        let captions = &self.category.captions;
        json!({
            "actId": self.id,
            "username": PEOPLE[random.below(PEOPLE.len())],
            "timestamp": timestamp(SystemTime::now()),
            "caption": captions[self.number as usize / CATEGORIES.len() % captions.len()],
            "categoryName": self.category.name,
            "imgType": "image/png",
            "imgB64": STANDARD.encode(&self.image),
        })
        .to_string()
    }
}

/// `DD-MM-YYYY:SS-MM-HH`, in UTC.
fn timestamp(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let (day, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(day);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{day:02}-{month:02}-{year:04}:{second:02}-{minute:02}-{hour:02}")
}

/// Year, month and day of the days since 1970.
fn date(mut day: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    loop {
        let length = match month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u64::from(leap(year)),
            _ => 31,
        };
        if day < length {
            return (year, month, day + 1);
        }
        day -= length;
        month += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn a_hundred_pictures_are_all_different_and_always_the_same() {
        let all: BTreeSet<Vec<u8>> = (0..100).map(|n| Act::new(1, n).image).collect();
        assert_eq!(all.len(), 100);
        assert!(all.contains(&Act::new(1, 42).image));
        assert!(!all.contains(&Act::new(2, 42).image));
    }

    #[test]
    fn a_timestamp_has_the_shape_that_the_service_wants() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "01-01-1970:00-00-00");
        assert_eq!(at(951_782_400 + 3661), "29-02-2000:01-01-01");
        assert_eq!(at(1_735_689_599), "31-12-2024:59-59-23");
    }
}
