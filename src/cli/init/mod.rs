//! `tidegate init`: a configuration to begin with, for an image or from a Compose file.

mod compose;
mod draft;
mod health;
mod ports;
mod project;
mod traefik;
mod variables;

use super::{FAILED, fail, print, print_json};
use crate::app::{self, ImageFacts};
use crate::config::{self, Env, Flags, Overrides};
use crate::plugin::Registry;
use crate::service::store;
use clap::Args;
use draft::{Draft, Service, list, quoted};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What an image most probably listens on when it does not say.
const PORT: u16 = 80;

/// Why `scale` is as it is written.
const MORE: &str = "more when traffic asks for it";
const ONE_COPY: &str = "more when several may write to these volumes at once";

#[derive(Args)]
pub struct Init {
    /// The image to run; it is looked at, and pulled when it is not here
    #[arg(
        value_name = "IMAGE",
        required_unless_present = "from",
        conflicts_with = "from"
    )]
    image: Option<String>,
    /// A Compose file to translate
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Where to write it; `-`: standard output
    #[arg(short, long, value_name = "FILE", default_value = "tidegate.yaml")]
    out: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    /// Say what was written as JSON
    #[arg(long)]
    json: bool,
}

impl Init {
    pub fn run(self, registry: &Registry) -> ExitCode {
        let drafted = match (&self.image, &self.from) {
            (Some(image), _) => for_image(image),
            (None, Some(file)) => from_compose(file),
            (None, None) => Err("name an image, or a Compose file with --from".to_owned()),
        };
        let draft = match drafted {
            Ok(draft) => draft,
            Err(why) => return fail(FAILED, why),
        };
        let text = draft.text();
        let problems = problems(&text, registry);
        if self.out == Path::new("-") {
            let printed = print(&text);
            complain(&problems);
            return printed;
        }
        if let Err(why) = self.write(&text) {
            return fail(FAILED, why);
        }
        complain(&problems);
        let out = self.out.display();
        let services: Vec<&str> = draft.services.iter().map(|it| it.name.as_str()).collect();
        if self.json {
            let told = serde_json::json!({ "file": self.out, "services": services });
            return print_json(&told);
        }
        let remarks: usize = draft.services.iter().map(|it| it.remarks.len()).sum();
        let left = match remarks + draft.foot.len() {
            0 => String::new(),
            1 => "; a comment says what to know of it".to_owned(),
            many => format!("; {many} comments say what could not be translated, and what to know"),
        };
        print(format_args!(
            "{out}: {}{left}\n  next: tidegate plan -c {out}, then tidegate run -c {out}\n",
            services.join(", ")
        ))
    }

    fn write(&self, text: &str) -> Result<(), String> {
        let out = self.out.display();
        let mut options = OpenOptions::new();
        let options = match self.force {
            true => options.write(true).create(true).truncate(true),
            false => options.write(true).create_new(true),
        };
        let written = options
            .open(&self.out)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                format!("{out} is there already\n  hint: --force writes over it, --out names another one")
            }
            _ => format!("cannot write {out}: {error}"),
        })
    }
}

fn head(from: &str) -> Vec<String> {
    vec![
        format!("Written by `tidegate init` from {from}."),
        "`tidegate check` says what is wrong with it, `tidegate schema` helps editors.".to_owned(),
    ]
}

fn for_image(image: &str) -> Result<Draft, String> {
    config::check_image(image)?;
    let facts = app::image_facts(image).map_err(|error| error.to_string())?;
    let mut draft = about_image(image, &facts);
    draft.head = head(&format!("the image {image}"));
    Ok(draft)
}

fn about_image(image: &str, facts: &ImageFacts) -> Draft {
    let mut service = Service::named(config::name_of(image));
    service.set("image", quoted(image), "");
    let port = facts.ports.first().copied().unwrap_or(PORT);
    let why = match facts.ports.as_slice() {
        [] => "the image does not say; what the program listens on inside the container",
        [_] => "the image exposes it",
        _ => "the lowest that the image exposes",
    };
    service.set("port", port.to_string(), why);
    service.set(
        "first_port",
        "8000",
        "replicas are on 127.0.0.1, here and upward",
    );
    let data = |(index, folder): (usize, &String)| {
        let number = if index == 0 {
            String::new()
        } else {
            index.to_string()
        };
        format!("{}-data{number}:{folder}", service.name)
    };
    let volumes: Vec<String> = facts.volumes.iter().enumerate().map(data).collect();
    if !volumes.is_empty() {
        service.set("volumes", list(&volumes), "every replica shares them");
    }
    let told = health::Told {
        path: None,
        test: facts.healthcheck.clone(),
        interval: facts.interval.map(health::duration),
        timeout: facts.timeout.map(health::duration),
        retries: facts.retries.filter(|it| *it > 0).map(|it| it.to_string()),
        start_period: facts.start_period.map(health::duration),
    };
    let (healthcheck, remark) = health::translate(&told, port);
    if let Some(healthcheck) = healthcheck {
        service.insert("healthcheck", healthcheck, "");
    }
    service.remarks.extend(remark);
    let (scale, why) = match volumes.as_slice() {
        [] => ("{ min: 1, max: 10 }", MORE),
        _ => ("{ min: 1, max: 1 }", ONE_COPY),
    };
    service.set("scale", scale, why);
    Draft {
        services: vec![service],
        ..Draft::default()
    }
}

fn from_compose(file: &Path) -> Result<Draft, String> {
    let shown = file.display();
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let absolute = std::path::absolute(file).map_err(|error| error.to_string())?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    // Compose's own file, beside its other one.
    let beside = variables::of_file(&folder.join(".env"))?;
    let env = |name: &str| std::env::var(name).ok().or(beside.get(name).cloned());
    let mut draft = compose::draft(&text, folder, &env).map_err(|why| format!("{shown}: {why}"))?;
    draft.head = head(&shown.to_string());
    Ok(draft)
}

/// What `check` would say.
fn problems(text: &str, registry: &Registry) -> Option<String> {
    let text = config::Text {
        name: "what was written".to_owned(),
        content: text.to_owned(),
    };
    let (_writer, reader) = store::store();
    let overrides = Overrides::new(Flags::default(), Env::process());
    let checked = config::load(&text, &overrides, registry, reader, None);
    checked.err().map(|problems| problems.to_string())
}

fn complain(problems: &Option<String>) {
    if let Some(problems) = problems {
        super::complain(format_args!("{problems}\nthis wants a hand before it runs"));
    }
}

#[cfg(test)]
mod tests;
