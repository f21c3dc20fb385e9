//! The cases that are measured.

use crate::client::connection::Ask;
use crate::containers;
use clap::ValueEnum;

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Case {
    /// Small GET, 64 connections that are kept
    Get,
    /// The same, with an access log
    GetLogged,
    /// Small GET, 1 connection
    #[value(name = "1")]
    One,
    /// Small GET, 8 connections
    #[value(name = "8")]
    Eight,
    /// Small GET, 1000 connections
    #[value(name = "1000")]
    Thousand,
    /// Answers of 64 KiB
    #[value(name = "64k")]
    Large,
    /// Answers of 1 MiB
    #[value(name = "1m")]
    Huge,
    /// POST of 10 KiB
    Post,
    /// POST of 64 KiB
    #[value(name = "post-64k")]
    PostLarge,
    /// POST of 1 MiB
    #[value(name = "post-1m")]
    PostHuge,
    /// A new connection for each request
    New,
    /// Containers, by their own addresses
    Container,
    /// Containers, by their published ports
    Published,
    /// Memory: idle, and for each of many idle connections
    Memory,
}

impl Case {
    pub fn about(self) -> &'static str {
        match self {
            Case::Get => "small GET, 64 connections",
            Case::GetLogged => "the same, access log",
            Case::One => "small GET, 1 connection",
            Case::Eight => "small GET, 8 connections",
            Case::Thousand => "small GET, 1000 connections",
            Case::Large => "64 KiB answer",
            Case::Huge => "1 MiB answer",
            Case::Post => "10 KiB POST",
            Case::PostLarge => "64 KiB POST",
            Case::PostHuge => "1 MiB POST",
            Case::New => "new connection per request",
            Case::Container => "container, its own address",
            Case::Published => "container, published port",
            Case::Memory => "memory",
        }
    }

    pub fn ask(self) -> Ask {
        match self {
            Case::Large => Ask::large(64 << 10),
            Case::Huge => Ask::large(1 << 20),
            Case::Post => Ask::post(10 << 10),
            Case::PostLarge => Ask::post(64 << 10),
            Case::PostHuge => Ask::post(1 << 20),
            Case::New => Ask::small().last(),
            Case::Container | Case::Published => Ask::path(containers::HEALTH),
            _ => Ask::small(),
        }
    }

    pub fn connections(self) -> usize {
        match self {
            Case::One => 1,
            Case::Eight => 8,
            Case::Thousand => 1000,
            Case::Huge | Case::PostHuge => 16,
            _ => 64,
        }
    }
}
