//! The command itself: picks the source, writes the file, and checks what it wrote.

use super::compose;
use super::draft::Draft;
use super::image;
use super::question;
use crate::cli::output::{self, FAILED, WRONG_USAGE, fail, print, print_json};
use crate::config::{self, Env, Flags, Overrides};
use crate::plugin::Registry;
use crate::service::store;
use clap::Args;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Init {
    /// The image to run; pulled when it is not on this machine
    #[arg(value_name = "IMAGE", conflicts_with = "from")]
    image: Option<String>,
    /// A Compose file to translate
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// E-mail for the certificate authority, where the Compose file names hosts
    #[arg(long, value_name = "ADDRESS", requires = "from")]
    email: Option<String>,
    /// File to write; `-`: standard output
    #[arg(short, long, value_name = "FILE", default_value = "tidegate.yaml")]
    out: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
}

impl Init {
    pub fn run(self, registry: &Registry) -> ExitCode {
        let drafted = match (&self.image, &self.from) {
            (Some(image), _) => from_image(image),
            (None, Some(file)) => from_compose(file, self.email.as_deref()),
            (None, None) => return offer(&self.out),
        };
        let mut draft = match drafted {
            Ok(draft) => draft,
            Err(why) => return fail(FAILED, why),
        };
        if let Some(tls) = draft.tls.as_mut().filter(|tls| tls.email.is_none()) {
            tls.email = question::email(&tls.hosts);
        }
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
        let unfinished = draft.tls.iter().filter(|tls| !tls.is_complete()).count();
        let left = match remarks + draft.foot.len() + unfinished {
            0 => String::new(),
            1 => "; read the comment in the file".to_owned(),
            many => format!("; read the {many} comments: they name untranslated keys"),
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
                format!("{out} exists already\n  hint: --force overwrites the file, --out names another one")
            }
            _ => format!("cannot write {out}: {error}"),
        })
    }
}

/// Names that Compose looks for.
const COMPOSE_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// Without a source: says what the Compose file of this folder would become, and what to type.
fn offer(out: &Path) -> ExitCode {
    let found = COMPOSE_FILES
        .into_iter()
        .find(|name| Path::new(name).is_file());
    fail(WRONG_USAGE, offered(found.map(Path::new), out))
}

/// Message for a folder with this Compose file.
pub fn offered(compose: Option<&Path>, out: &Path) -> String {
    let Some(file) = compose else {
        return "name an image, as in `tidegate init nginx`, or a Compose file, as in \
                `tidegate init --from compose.yaml`; there is none in this folder"
            .to_owned();
    };
    let shown = file.display();
    match from_compose(file, None) {
        Ok(draft) => {
            let services: Vec<&str> = draft.services.iter().map(|it| it.name.as_str()).collect();
            format!(
                "{shown} is here\n  hint: `tidegate init --from {shown}` writes {} with {}",
                out.display(),
                services.join(", ")
            )
        }
        Err(why) => format!("name an image, as in `tidegate init nginx`; {why}"),
    }
}

fn head(from: &str) -> Vec<String> {
    vec![
        format!("Written by `tidegate init` from {from}."),
        "`tidegate check` reports mistakes, `tidegate schema` helps editors.".to_owned(),
    ]
}

fn from_image(image: &str) -> Result<Draft, String> {
    let mut draft = image::draft(image)?;
    draft.head = head(&format!("the image {image}"));
    Ok(draft)
}

fn from_compose(file: &Path, email: Option<&str>) -> Result<Draft, String> {
    let shown = file.display();
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let absolute = std::path::absolute(file).map_err(|error| error.to_string())?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let env = compose::lookup(folder)?;
    let draft = compose::draft(&text, folder, &env, email);
    let mut draft = draft.map_err(|why| format!("{shown}: {why}"))?;
    draft.head = head(&shown.to_string());
    Ok(draft)
}

/// Problems that `tidegate check` would find.
pub fn problems(text: &str, registry: &Registry) -> Option<String> {
    let text = config::Text {
        name: "the new file".to_owned(),
        content: text.to_owned(),
    };
    let (_writer, reader) = store::store();
    let overrides = Overrides::new(Flags::default(), Env::process());
    let checked = config::load(&text, &overrides, registry, reader, None);
    checked.err().map(|problems| problems.to_string())
}

fn complain(problems: &Option<String>) {
    if let Some(problems) = problems {
        output::complain(format_args!("{problems}\nedit the file before you run it"));
    }
}
