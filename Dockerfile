# Built by scripts/image, which puts a static binary beside this file.
FROM scratch
COPY tidegate /usr/local/bin/tidegate
EXPOSE 80
ENTRYPOINT ["/usr/local/bin/tidegate"]
CMD ["run"]
