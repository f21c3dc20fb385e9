use super::command::{offered, problems};
use super::compose;
use super::image::about_image;
use crate::app::ImageFacts;
use crate::plugin::Registry;
use std::path::Path;
use std::time::Duration;

const COMPOSE: &str = r#"
name: shop
services:
  web_front:
    image: shop/web:${TAG:-1}
    ports: ["80:8080", "127.0.0.1:9000:9000"]
    environment:
      MODE: "yes"
      URL: "http://db:5432"
    volumes:
      - data:/data
      - ./conf:/etc/web:ro
      - type: bind
        source: /srv/files
        target: /files
        read_only: true
      - /cache
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:8080/up"]
      interval: 5s
      start_period: 1m30s
      retries: 3
    deploy:
      replicas: 2
      resources: { limits: { cpus: "0.5", memory: 256M } }
      update_config: { parallelism: 2, order: start-first, delay: 5s }
    depends_on: [db]
    networks: [back]
    restart: always
  api:
    image: shop/api
    expose: [3000]
    labels:
      - traefik.http.routers.api.rule=Host(`api.example.com`) && PathPrefix(`/v1`)
    command: ["serve", "--port", "3000"]
  admin:
    image: shop/admin
    ports: ["8081:80"]
  db:
    image: postgres:17
    volumes: ["db:/var/lib/postgresql/data"]
  built:
    build: .
    ports: ["90:90"]
volumes: { data: {}, db: {} }
secrets: { key: { file: ./key } }
"#;

fn registry() -> Registry {
    crate::plugins::standard()
}

fn translated(text: &str) -> String {
    let draft = compose::draft(text, Path::new("/home/me/shop"), &|_| None, None);
    draft.unwrap_or_else(|why| panic!("{why}")).text()
}

#[test]
fn a_compose_file_is_translated_and_what_cannot_be_is_said() {
    let text = translated(COMPOSE);
    assert_eq!(problems(&text, &registry()), None, "{text}");
    for line in [
        "  web-front:",
        "    image: shop/web:1",
        "    port: 8080 # inside the container",
        "    environment: {\"MODE\":\"yes\",\"URL\":\"http://db:5432\"}",
        "    volumes: [shop_data:/data, /home/me/shop/conf:/etc/web:ro, /srv/files:/files:ro] # every replica shares them; the names are Compose's, so their data stays",
        "    networks: [shop_back] # named as in `docker network ls`",
        "    networks: [shop_default] # the network of Compose's services",
        "      path: /up # GET must answer 200",
        "      interval: 5s",
        "      start_period: 1m30s",
        "    scale: { min: 2, max: 4 } # more with more requests at work (policy `concurrency`)",
        "    cpus: 0.5",
        "    memory: \"256M\"",
        "      order: start-first",
        "    # not translated: port 9000; a service has one",
        "    # not translated: the volume at /cache; give it a name, as in `data:/cache`",
        "    # not translated: `depends_on`; requests wait until a replica is ready",
        "    first_port: 8100 # replicas use 127.0.0.1, from this port upward",
        "    routes: [{ host: api.example.com, path: /v1 }] # from the labels for Traefik",
        "    command: [\"serve\",\"--port\",\"3000\"]",
        "    routes: [{ host: admin.localhost }] # required; only one service can do without routes",
        "    image: shop-built # as `docker compose build` names it",
        "    port: 90 # inside the container",
        "# build these images before the first start, and before each `tidegate deploy`: docker compose build built",
        "# `db` is left to Compose: it has no port",
        "# start Compose's services before Tidegate, because Compose must create its networks itself: docker compose up -d db",
        "# not translated: `secrets` at the top",
    ] {
        assert!(
            text.lines().any(|it| it == line),
            "{line} is not in\n{text}"
        );
    }
}

#[test]
fn what_a_program_may_not_bear_is_not_begun_with() {
    let text = translated(
        r#"
services:
  wiki:
    image: wiki
    ports: ["3000:3000", "3000:3000/udp"]
    volumes: [pages:/pages, /var/run/docker.sock:/var/run/docker.sock]
    labels: { traefik.http.routers.wiki.rule: "Host(`a`) && ClientIP(`10.0.0.0/8`)" }
  reader:
    image: reader
    ports: ["8080:8080"]
    depends_on: { wiki: { condition: service_started }, database: {} }
    volumes: ["pages:/pages:ro"]
  database:
    image: postgres:17
    ports: ["127.0.0.1:5432:5432"]
  hidden:
    image: web
    ports: ["80:80"]
    labels: [traefik.enable=false]
  inside:
    image: api
    expose: [3000]
  old:
    image: blog
    expose: ["8080"]
    environment: ["VIRTUAL_HOST=a.example.com, b.example.com", VIRTUAL_PORT=8080]
  routed:
    image: shop
    labels: { traefik.http.routers.shop.rule: Host(`shop.example.com`) }
  extra:
    image: shop
    ports: ["80:80"]
    profiles: [debug]
  proxy:
    image: docker.io/library/traefik:v3
    ports: ["80:80"]
"#,
    );
    assert_eq!(problems(&text, &registry()), None, "{text}");
    let expected = "
services:
  wiki:
    image: wiki
    port: 3000 # inside the container
    first_port: 8000 # replicas use 127.0.0.1, from this port upward
    routes: [{ host: wiki.localhost }] # in place of a rule that no route can express
    volumes: [shop_pages:/pages, /var/run/docker.sock:/var/run/docker.sock] # every replica shares them; the names are Compose's, so their data stays
    scale: { min: 1, max: 1 } # more when several may write to these volumes at once
    networks: [shop_default] # the network of Compose's services
    # Compose published port 3000; clients connect to `listen` now, port 80
    # not translated: port 3000, which is UDP
    # not translated: Traefik's rule Host(`a`) && ClientIP(`10.0.0.0/8`); write it as `routes`

  reader:
    image: reader
    port: 8080 # inside the container
    first_port: 8100 # replicas use 127.0.0.1, from this port upward
    volumes: [shop_pages:/pages:ro] # every replica shares them; the names are Compose's, so their data stays
    scale: { min: 1, max: 4 } # more with more requests at work (policy `concurrency`)
    networks: [shop_default] # the network of Compose's services
    # Compose published port 8080; clients connect to `listen` now, port 80
    # not translated: `depends_on`; requests wait until a replica is ready
    # without `routes`, this service gets every request that no other service claims
    # `wiki` is no host name any more, because its containers change: reach it through Tidegate, as clients do

  old:
    image: blog
    port: 8080 # inside the container
    first_port: 8200 # replicas use 127.0.0.1, from this port upward
    routes: [{ host: a.example.com }, { host: b.example.com }] # from VIRTUAL_HOST
    environment: [\"VIRTUAL_HOST=a.example.com, b.example.com\",\"VIRTUAL_PORT=8080\"]
    scale: { min: 1, max: 4 } # more with more requests at work (policy `concurrency`)
    networks: [shop_default] # the network of Compose's services

  routed:
    image: shop
    port: 80 # assumed: the port that the program listens on inside the container
    first_port: 8300 # replicas use 127.0.0.1, from this port upward
    routes: [{ host: shop.example.com }] # from the labels for Traefik
    scale: { min: 1, max: 4 } # more with more requests at work (policy `concurrency`)
    networks: [shop_default] # the network of Compose's services

# `extra` is left out: runs with the profile debug only
# `proxy` is left out: Tidegate takes its place
# `database` is left to Compose: the port speaks PostgreSQL's protocol, and not HTTP
# `hidden` is left to Compose: the label `traefik.enable=false` excludes it
# `inside` is left to Compose: its port is for other services only
# start Compose's services before Tidegate, because Compose must create its networks itself: docker compose up -d database hidden inside
";
    assert_eq!(text, expected);
}

#[test]
fn variables_of_files_are_taken_along() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("web.env"),
        "# a comment\nA=1\nB='two words'\n",
    )
    .unwrap();
    let compose = "services: { web: { image: web, ports: [\"80:80\"], environment: [A=own, C], \
                   env_file: [web.env, { path: missing.env, required: false }] } }";
    let draft = compose::draft(compose, folder.path(), &|_| None, None).unwrap();
    let text = draft.text();
    let line = "    environment: {\"A\":\"own\",\"B\":\"two words\",\"C\":null} # in plain text; \
                secrets belong under `secrets`\n";
    assert!(text.contains(line), "{text}");
    assert!(
        text.contains("# not translated: missing.env is missing or empty"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_none_of_composes_is_refused() {
    for (text, says) in [
        ("a: [", "did not find"),
        ("a: 1", "is this a Compose file"),
        (
            "services: { db: { image: x } }",
            "none of its services can be translated\n  `db`: it has no port",
        ),
    ] {
        let why = compose::draft(text, Path::new("/"), &|_| None, None)
            .err()
            .unwrap();
        assert!(why.contains(says), "{why}");
    }
}

#[test]
fn an_image_gets_what_it_says_of_itself() {
    let facts = ImageFacts {
        ports: vec![8080, 9000],
        volumes: vec!["/data".to_owned()],
        healthcheck: Some("CMD-SHELL curl -f http://localhost:8080/healthz || exit 1".to_owned()),
        interval: Some(Duration::from_secs(90)),
        retries: Some(3),
        ..ImageFacts::default()
    };
    let text = about_image("registry.example.com/team/shop:2", &facts).text();
    assert_eq!(problems(&text, &registry()), None, "{text}");
    let expected = "
services:
  shop:
    image: registry.example.com/team/shop:2
    port: 8080 # the lowest that the image exposes
    first_port: 8000 # replicas use 127.0.0.1, from this port upward
    volumes: [shop-data:/data] # every replica shares them
    healthcheck:
      path: /healthz # GET must answer 200
      interval: 1m30s
      retries: 3
    scale: { min: 1, max: 1 } # more when several may write to these volumes at once
";
    assert_eq!(text, expected);
}

#[test]
fn an_image_that_says_nothing_gets_a_file_that_runs() {
    let text = about_image("web", &ImageFacts::default()).text();
    assert_eq!(problems(&text, &registry()), None, "{text}");
    assert!(!text.contains("healthcheck"), "{text}");
}

const TRAEFIK: &str = r#"
services:
  traefik:
    image: traefik:v3.1
    command:
      - --entrypoints.web.http.redirections.entrypoint.to=websecure
      - --certificatesresolvers.le.acme.email=me@example.com
      - --certificatesresolvers.le.acme.caserver=https://acme-staging-v02.api.letsencrypt.org/directory
      - --certificatesresolvers.le.acme.dnschallenge.provider=cloudflare
      - --certificatesresolvers.le.acme.dnschallenge.resolvers=1.1.1.1:53
      - --certificatesresolvers.le.acme.keytype=RSA4096
      - --certificatesresolvers.old.acme.email=old@example.com
    ports: ["80:80", "443:443"]
  blog:
    image: ghost
    labels:
      - traefik.http.routers.blog.rule=Host(`blog.example.com`) || Host(`www.example.com`)
      - traefik.http.routers.blog.tls.certresolver=le
      - traefik.http.routers.blog.tls.domains[0].main=example.com
      - traefik.http.routers.blog.tls.domains[0].sans=*.example.com
"#;

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|it| it == *line),
            "{line} is not in\n{text}"
        );
    }
}

#[test]
fn a_resolver_of_traefik_becomes_tls() {
    let text = translated(TRAEFIK);
    assert_eq!(problems(&text, &registry()), None, "{text}");
    has(
        &text,
        &[
            "tls:",
            "  email: me@example.com # from Traefik's resolver `le`",
            "  ca: [letsencrypt-staging] # nobody trusts its certificates; without this line, `letsencrypt`",
            "  dns: { provider: cloudflare, token_file: /run/secrets/cloudflare_token } # write into this file, for Tidegate's user alone: Traefik's CF_DNS_API_TOKEN",
            "  resolvers: [\"1.1.1.1:53\"]",
            "  hosts: [example.com, \"*.example.com\"] # beyond the hosts of routes",
            "# not translated: Traefik's resolver `old`; all hosts get certificates in the way of `le`",
            "# not translated: Traefik's `--certificatesresolvers.le.acme.keytype=RSA4096`",
            "# the certificates that Traefik holds can be taken over: `tidegate certs import acme.json`, before the first start",
        ],
    );
    assert!(!text.contains("not translated: TLS"), "{text}");
}

/// The file without the `# ` before the lines of the block.
fn uncommented(text: &str) -> String {
    let is_block = |line: &str| line.starts_with("# tls:") || line.starts_with("#   ");
    let lines = text.lines().map(|line| match is_block(line) {
        true => &line[2..],
        false => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn without_an_address_tls_is_a_comment_that_is_right_once_it_is_filled_in() {
    let labels = "services: { blog: { image: ghost, labels: [\"traefik.http.routers.b.rule=\
                  Host(`blog.example.com`)\", traefik.http.routers.b.tls=true] } }";
    let published = "services: { web: { image: web, ports: [\"80:80\", \"443:443\"], environment: \
                     { VIRTUAL_HOST: blog.example.com } } }";
    let companion = "services: { web: { image: web, environment: { VIRTUAL_HOST: blog.example.com, \
                     LETSENCRYPT_HOST: blog.example.com } } }";
    for compose in [labels, published, companion] {
        let text = translated(compose);
        assert_eq!(problems(&text, &registry()), None, "{text}");
        has(
            &text,
            &[
                "# HTTPS for blog.example.com: fill in `email`, the contact for the certificate authority, and uncomment these lines.",
                "# tls:",
                "#   email: you@example.com",
            ],
        );
        let filled = uncommented(&text);
        assert!(filled.contains("\ntls:\n  email: you@"), "{filled}");
        assert_eq!(problems(&filled, &registry()), None, "{filled}");
        let draft = compose::draft(compose, Path::new("/srv"), &|_| None, Some("a@example.com"));
        let text = draft.unwrap_or_else(|why| panic!("{why}")).text();
        assert_eq!(problems(&text, &registry()), None, "{text}");
        has(&text, &["tls:", "  email: a@example.com"]);
    }
}

#[test]
fn an_address_of_a_companion_is_taken() {
    let text = translated(
        "services: { web: { image: web, environment: { VIRTUAL_HOST: a.example.com, \
         LETSENCRYPT_HOST: a.example.com, LETSENCRYPT_EMAIL: me@example.com } } }",
    );
    has(&text, &["  email: me@example.com # from LETSENCRYPT_EMAIL"]);
}

#[test]
fn hosts_that_no_authority_certifies_and_files_in_clear_get_no_tls() {
    let private = translated(
        "services: { web: { image: web, ports: [\"443:443\", \"80:80\"] }, nas: { image: nas, labels: \
         [\"traefik.http.routers.n.rule=Host(`nas.local`)\", traefik.http.routers.n.tls=true] } }",
    );
    assert!(!private.contains("tls:\n"), "{private}");
    let why = "# not translated: HTTPS; no route names a public host, and certificates are ordered for \
               those: set `routes` and `tls: { email: … }`";
    has(&private, &[why]);
    let clear = translated(COMPOSE);
    assert!(
        !clear.contains("tls") && !clear.contains("HTTPS"),
        "{clear}"
    );
}

#[test]
fn a_wildcard_without_dns_and_authorities_that_need_more_are_said() {
    let text = translated(
        r#"
services:
  web:
    image: web
    environment: { VIRTUAL_HOST: "*.example.com" }
  traefik:
    image: traefik
    command: >-
      --certificatesresolvers.le.acme.email=me@example.com
      --certificatesresolvers.le.acme.dnschallenge.provider=acmedns
      --certificatesresolvers.le.acme.caserver=https://acme.zerossl.com/v2/DV90
      --certificatesresolvers.le.acme.dnschallenge.resolvers=ns.example.com
"#,
    );
    assert_eq!(problems(&text, &registry()), None, "{text}");
    has(
        &text,
        &[
            "# HTTPS for *.example.com: fill in `dns`, which alone can prove `*.example.com`, and uncomment these lines.",
            "#   email: me@example.com # from Traefik's resolver `le`",
            "# not translated: Traefik's DNS provider `acmedns`, which is unknown here; names are proven by connections to ports 80 and 443",
            "# not translated: Traefik's authority https://acme.zerossl.com/v2/DV90; with a key of your account there, `tls.ca` and `tls.eab` name it",
            "# not translated: Traefik's DNS servers ns.example.com; `tls.resolvers` takes addresses with ports",
        ],
    );
}

#[test]
fn without_a_source_the_compose_file_here_is_offered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("compose.yaml");
    std::fs::write(&file, COMPOSE).unwrap();
    let out = Path::new("tidegate.yaml");
    let offer = offered(Some(&file), out);
    let shown = file.display();
    assert_eq!(
        offer,
        format!(
            "{shown} is here\n  hint: `tidegate init --from {shown}` writes tidegate.yaml with \
             web-front, api, admin, built"
        )
    );
    let nothing = offered(None, out);
    assert!(nothing.contains("tidegate init nginx"), "{nothing}");
    std::fs::write(&file, "a: b").unwrap();
    assert!(offered(Some(&file), out).contains("`services:` is missing"));
}
