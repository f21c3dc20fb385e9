//! The nouns.

use std::fmt;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};

/// The largest photo, in bytes.
pub const IMAGE_LIMIT: usize = 10 * 1024 * 1024;

/// An act as it is posted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewAct {
    pub act_id: i64,
    pub username: String,
    pub timestamp: Timestamp,
    pub caption: String,
    pub category_name: String,
    #[serde(rename = "imgB64")]
    pub image: Image,
    /// Kind of the photo by the sender's word; then the bytes must be of that kind.
    #[serde(rename = "imgType")]
    pub kind: Option<String>,
}

/// An act as it is listed with its photo.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Act {
    pub act_id: i64,
    pub username: String,
    pub timestamp: Timestamp,
    pub caption: String,
    pub upvotes: i64,
    #[serde(rename = "imgB64")]
    pub image: Image,
}

/// An act as it is listed without its photo.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    pub act_id: i64,
    pub username: String,
    pub timestamp: Timestamp,
    pub caption: String,
    pub category_name: String,
    pub upvotes: i64,
    #[serde(rename = "imgType")]
    pub kind: String,
    #[serde(rename = "imgBytes")]
    pub bytes: u64,
    #[serde(rename = "imgSha256")]
    pub digest: String,
}

/// `DD-MM-YYYY:SS-MM-HH` outside; inside the number YYYYMMDDHHMMSS, which sorts by time.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(pub i64);

impl TryFrom<String> for Timestamp {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse(text.as_bytes())
            .map(Self)
            .ok_or_else(|| format!("timestamp {text:?} is not a time written DD-MM-YYYY:SS-MM-HH"))
    }
}

fn parse(text: &[u8]) -> Option<i64> {
    let shape = b"00-00-0000:00-00-00";
    let fits = text.len() == shape.len()
        && text.iter().zip(shape).all(|(found, wanted)| match wanted {
            b'0' => found.is_ascii_digit(),
            mark => found == mark,
        });
    if !fits {
        return None;
    }
    let number = |digits: &[u8]| {
        digits
            .iter()
            .fold(0, |n, digit| n * 10 + i64::from(digit - b'0'))
    };
    let (day, month, year) = (
        number(&text[0..2]),
        number(&text[3..5]),
        number(&text[6..10]),
    );
    let (second, minute, hour) = (
        number(&text[11..13]),
        number(&text[14..16]),
        number(&text[17..19]),
    );

    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    let real = (1..=days).contains(&day) && second < 60 && minute < 60 && hour < 24;
    real.then(|| {
        [month, day, hour, minute, second]
            .iter()
            .fold(year, |n, part| n * 100 + part)
    })
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The nth pair of digits from the right.
        let pair = |n: u32| self.0 / 100_i64.pow(n) % 100;
        let (second, minute, hour, day, month) = (pair(0), pair(1), pair(2), pair(3), pair(4));
        let year = self.0 / 100_i64.pow(5);
        write!(
            f,
            "{day:02}-{month:02}-{year:04}:{second:02}-{minute:02}-{hour:02}"
        )
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.to_string()
    }
}

/// Kind of a photo by its first bytes; the sender's word for it is not asked.
pub fn kind(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        [
            _,
            _,
            _,
            _,
            b'f',
            b't',
            b'y',
            b'p',
            b'a',
            b'v',
            b'i',
            b'f',
            ..,
        ] => Some("image/avif"),
        _ => None,
    }
}

/// A photo: base64 outside, bytes inside.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Image(pub Vec<u8>);

impl TryFrom<String> for Image {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(|error| format!("the image is not base64: {error}"))
    }
}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
    }
}
