/* larder-download: fetches what the cache lacks, from places that nobody trusts, without privileges. */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/base/cli.h"
#include "cache/base/fs.h"
#include "cache/base/process.h"
#include "cache/net/haul.h"
#include "firstboot/download_drop.h"
#include "firstboot/download_report.h"
#include "firstboot/notify.h"
#include "firstboot/want.h"

#define EXIT_USAGE 1 /* as the agent's; cli.h says 2 */
#define NOTIFY_EVERY_MS 1000

struct download_args {
	const char *want, *into, *report, *progress;
};

static const struct cli_option options[] = {
	{ "want", "FILE", "what is wanted, and of whom: larder.want.v1",
	  offsetof(struct download_args, want), CLI_TEXT },
	{ "into", "DIR", "the folder that receives it; made where it is missing",
	  offsetof(struct download_args, into), CLI_TEXT },
	{ "report", "FILE", "write there how it ended: larder.download.v1",
	  offsetof(struct download_args, report), CLI_TEXT },
	{ "progress", "HOW", "auto, plain, json or none",
	  offsetof(struct download_args, progress), CLI_TEXT },
	{ 0 },
};

/* One run. */
struct download {
	struct want want;
	struct log log;
	int dir; /* what is brought goes there */
	uint64_t deadline_ms;
	uint64_t told_ms; /* when systemd was last told of progress */
	struct download_report report;
};

/* --- what the machine has ---------------------------------------------------------------------- */

/* Where distributions keep the certificates that they trust. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* RHEL and its kin, Fedora */
	"/etc/pki/tls/certs/ca-bundle.crt", /* older ones */
	"/etc/ssl/ca-bundle.pem", /* SUSE */
	"/var/lib/ca-certificates/ca-bundle.pem", /* SUSE, without the link */
	"/etc/ssl/cert.pem", /* Alpine */
};

/* NULL: $SSL_CERT_FILE has it, or nobody, and then no https source can prove who it is. */
static const char *choose_bundle(const struct want *want)
{
	if (want->ca || getenv("SSL_CERT_FILE"))
		return want->ca;
	for (size_t i = 0; i < COUNT_OF(bundles); i++) {
		if (access(bundles[i], R_OK) == 0)
			return bundles[i];
	}
	return NULL;
}

/* --- how it ends ------------------------------------------------------------------------------- */

static void fail(struct download *run, enum reason reason, const struct err *err)
{
	run->report.reason = reason;
	snprintf(run->report.text, sizeof(run->report.text), "%.*s",
		 DOWNLOAD_REPORT_TEXT_MAX - 1, err->text);
}

/* Something of our own did not work: no source is to blame. */
static void fail_here(struct download *run, const struct err *err)
{
	fail(run, err->kind == ERR_SYSTEM ? reason_of_err(err) : REASON_INTERNAL, err);
}

static int open_report(const char *path, int *out_fd, struct err *err)
{
	if (!path)
		return 0;
	*out_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *out_fd < 0 ? err_errno(err, "--report %s", path) : 0;
}

static int write_report(int fd, const struct download_report *report, struct err *err)
{
	size_t size;
	AUTO_FREE char *text = download_report_text(report, &size);

	if (fd < 0)
		return 0;
	return fs_write_all(fd, text, size, err) < 0 ? err_wrap(err, "--report") : 0;
}

/* --- the run ----------------------------------------------------------------------------------- */

static void on_progress(void *context, uint64_t done, uint64_t total)
{
	struct download *run = context;
	uint64_t now = fs_boot_ms();
	char text[96];

	log_step(&run->log, "download", done, total);
	if (now < run->told_ms + NOTIFY_EVERY_MS)
		return;
	run->told_ms = now;
	snprintf(text, sizeof(text), "has %.1f of %.1f MB", (double)done / 1e6,
		 (double)total / 1e6);
	notify_status(text, run->deadline_ms);
}

static struct haul_blob *make_blobs(const struct want *want)
{
	struct haul_blob *blob = must_calloc(want->count, sizeof(*blob));

	for (size_t i = 0; i < want->count; i++) {
		blob[i].id = want->blob[i].id;
		blob[i].chunk = want->blob[i].chunk;
		blob[i].chunk_count = want->blob[i].chunk_count;
	}
	return blob;
}

/* The first that is not there matters most: the report has its reason. */
static void judge(struct download *run, const struct haul_blob *blob)
{
	for (size_t i = 0; i < run->want.count; i++) {
		struct err err;

		if (blob[i].done)
			continue;
		haul_blob_fault(&blob[i], &err);
		fail(run, download_reason(&err), &err);
		return;
	}
}

static void fetch(struct download *run)
{
	const struct want *want = &run->want;
	AUTO_FREE struct haul_blob *blob = make_blobs(want);
	const struct haul_options how = {
		.source = want->sources.item,
		.source_count = want->sources.count,
		.race = want->race,
		.connections = (unsigned)want->connections,
		.deadline_ms = run->deadline_ms,
		.proxy = want->proxy,
		.ca_file = choose_bundle(want),
		.tls_time = want_created(want),
		.log = &run->log,
		.progress = on_progress,
		.context = run,
	};
	struct haul_counts top = { 0 }, counts = { 0 };
	struct err err = { 0 };

	if (want->count > 0 && haul_blobs(run->dir, blob, want->count, &how, &counts, &err) < 0)
		fail(run, download_reason(&err), &err);
	else
		judge(run, blob);
	/* What is known to be missing comes first: a source without a top may cost time. */
	if (want->top && haul_top(run->dir, &how, &top, &err) < 0 &&
	    run->report.reason == REASON_DONE)
		fail(run, download_reason(&err), &err);
	run->report.fetched = top.fetched + counts.fetched;
	run->report.brought = counts.brought;
	for (size_t i = 0; i < want->count; i++)
		haul_blob_free(&blob[i]);
}

static int read_want(const char *path, struct want *out, struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size;

	if (fs_read_at(AT_FDCWD, path, WANT_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	return want_parse(data, size, out, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

static void download(const struct download_args *args, struct download *run)
{
	struct err err = { 0 };
	int result = read_want(args->want, &run->want, &err);

	run->report.wanted = run->want.count;
	if (result < 0 || download_drop(args->into, &run->dir, &err) < 0) {
		fail_here(run, &err);
		return;
	}
	run->deadline_ms = fs_boot_ms() + run->want.budget_s * 1000;
	notify_status("asks the sources", run->deadline_ms);
	fetch(run);
	close(run->dir);
}

static void say_end(struct download *run)
{
	const struct download_report *report = &run->report;
	AUTO_FREE char *line = must_printf(
		"%s: %llu of %llu blobs brought, %llu bytes fetched%s%s",
		reason_name(report->reason), (unsigned long long)report->brought,
		(unsigned long long)report->wanted, (unsigned long long)report->fetched,
		report->text[0] ? ": " : "", report->text);

	log_line(&run->log, "%s", line);
	notify_ready(line);
}

static int run_download(const void *arguments, const struct cli_operands *operands,
			struct err *err)
{
	const struct download_args *args = arguments;
	struct download run = { .dir = -1 };
	AUTO_CLOSE int report = -1;
	int code;

	(void)operands;
	if (!args->want || !args->into)
		return err_set(err, ERR_USAGE, "--want FILE and --into DIR are needed");
	if (log_open(&run.log, stderr, "larder-download", args->progress, err) < 0 ||
	    open_report(args->report, &report, err) < 0)
		return -1;
	process_hold_sigterm();
	download(args, &run);
	say_end(&run);
	code = write_report(report, &run.report, err) < 0 ? -1 : reason_exit(run.report.reason);
	want_free(&run.want);
	return code;
}

static const struct cli_verb verbs[] = {
	{ .name = "",
	  .operands = "",
	  .summary = "Fetch the blobs that a cache lacks, and prove each byte of them.",
	  .details =
		  "Started by larder-download.service after a miss, or by larder-firstboot "
		  "update. Sources are https://HOST/PATH, http://HOST/PATH and "
		  "oci://HOST/NAME[:TAG]; none of them is trusted, and no login is told to "
		  "any. It "
		  "begins as root to open its folder, then goes on as a user that nobody else "
		  "is, "
		  "without capabilities. Whole blobs come to lie in DIR/blobs/sha256, parts in "
		  "DIR/partial: the next run goes on there. larder-firstboot proves all of it "
		  "again before it uses it.\n\n"
		  "Certificates: of https sources those that the want names, those of "
		  "$SSL_CERT_FILE, or the distribution's; judged at the time when the "
		  "statement "
		  "was made, where the clock is behind it. Proxies: the want's, or "
		  "$http_proxy, "
		  "$https_proxy and $no_proxy. SIGTERM ends it with what it has.",
	  .options = options,
	  .args_size = sizeof(struct download_args),
	  .run = run_download },
	{ 0 },
};

static const struct cli_program program = {
	.name = "larder-download",
	.summary = "fetches what a machine's cache lacks, without privileges",
	.verbs = verbs,
	.exits = "0: all that is wanted is there. 1: wrong usage. 14: it is not: the report "
		 "says "
		 "why.",
};

int main(int argc, char **argv)
{
	int code;

	process_open_streams();
	(void)close_range(3, ~0U, 0); /* root's, whoever forgot to close them */
	process_pin_lookups();
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	code = cli_main(&program, argc, argv);
	return code == CLI_WRONG_USAGE ? EXIT_USAGE : code;
}
