/* resolve_dnf.c - the closure of a target that has dnf: dnf 4 itself, asked through its own Python interface. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bake/resolve.h"
#include "cache/base/fs.h"
#include "cache/base/run.h"

#define DNF_TIMEOUT_MS (900 * 1000)
#define ENV_ROWS 8
#define FIRST_FEDORA 20 /* with modules; the others count from 8 on */
#define ERROR_MAX 768
#define REPO_MAX_BYTES (UINT32_C(1) << 20)

static const char *const pythons[] = { "/usr/libexec/platform-python", "/usr/bin/python3" };

/* Distributions have gpgcheck on. The module platform matters only where a repository has modules. */
static const char config[] = "[main]\n"
			     "reposdir=%s/repos\n"
			     "cachedir=%s/cache\n"
			     "persistdir=%s/persist\n"
			     "logdir=%s/log\n"
			     "pluginpath=%s/none\n"
			     "varsdir=%s/none\n"
			     "gpgcheck=True\n"
			     "install_weak_deps=False\n"
			     "keepcache=False\n"
			     "module_platform_id=platform:%s%.*s\n";

/* Arguments: the configuration, the folder that becomes the root, the folder of an rpm database, releasever, arch, a
 * folder with one more repository or "", the target's root or "", the hosts that want a login, then the names. The
 * command line's "repoquery" knows no digests, and "download --resolve" asks for each package alone. What a repository
 * says must not end a field: "check" is the last. Nothing is logged: it would stand between the rows. */
static const char script[] =
	"import logging, os, sys, urllib.parse\n"
	"import dnf, dnf.callback, dnf.crypto, dnf.exceptions, dnf.rpm, rpm\n"
	"logging.disable()\n"
	"conf, root, installed, release, arch, inside, top, hosts = sys.argv[1:9]\n"
	"class Keys(dnf.callback.KeyImport):\n"
	"    def _confirm(self, id, userid, fingerprint, url, timestamp):\n"
	"        return url.startswith(('file:', 'https:'))\n"
	"def tell(*fields):\n"
	"    if not all(field.isprintable() for field in fields):\n"
	"        raise dnf.exceptions.Error('a package with a control character in what the '\n"
	"                                   'index says of it')\n"
	"    print('\\t'.join(fields))\n"
	"def in_target(url):\n"
	"    path = os.path.realpath(top + '/' + url[5:])\n"
	"    if not top or not url.startswith('file:'):\n"
	"        return url\n"
	"    if not path.startswith(top + '/'):\n"
	"        raise dnf.exceptions.Error('a key outside of the root: ' + url)\n"
	"    return 'file://' + path\n"
	"place = root + rpm.expandMacro('%{_dbpath}')\n"
	"if not os.path.lexists(place):\n"
	"    os.makedirs(os.path.dirname(place), exist_ok=True)\n"
	"    os.symlink(installed, place)\n"
	"base = dnf.Base()\n"
	"base.conf.read(conf)\n"
	"base.conf.config_file_path = conf\n"
	"base.conf.installroot = root\n"
	"base.conf.substitutions['releasever'] = release\n"
	"base.conf.substitutions['arch'] = arch\n"
	"base.conf.substitutions['basearch'] = dnf.rpm.basearch(arch)\n"
	"try:\n"
	"    base.read_all_repos()\n"
	"    for repo in base.repos.iter_enabled():\n"
	"        repo._set_key_import(Keys())\n"
	"        repo.gpgkey = [in_target(url) for url in repo.gpgkey]\n"
	"        places = list(repo.baseurl) + [repo.metalink, repo.mirrorlist]\n"
	"        for url in places + list(repo.gpgkey):\n"
	"            if url and not repo.sslverify and url.startswith('https:'):\n"
	"                raise dnf.exceptions.Error('repository ' + repo.id + ': sslverify=0 "
	"believes '\n"
	"                                           'whoever answers')\n"
	"        for url in filter(None, places):\n"
	"            if (urllib.parse.urlsplit(url).hostname or '') in hosts.split() and "
	"not repo.username:\n"
	"                raise dnf.exceptions.Error('login: ' + repo.id)\n"
	"            if not repo.repo_gpgcheck and not url.startswith(('https:', "
	"'file:')):\n"
	"                raise dnf.exceptions.Error('unproven: ' + repo.id)\n"
	"        repo.skip_if_unavailable = False\n"
	"        for url in repo.gpgkey if repo.gpgcheck else ():\n"
	"            if not url.startswith(('file:', 'https:')):\n"
	"                raise dnf.exceptions.Error('unproven: ' + repo.id)\n"
	"            for key in dnf.crypto.retrieve(url, repo):\n"
	"                with open('%s/keys/%s.asc' % (os.path.dirname(conf), key.short_id), "
	"'wb') as out:\n"
	"                    out.write(key.raw_key)\n"
	"    if inside:\n"
	"        base.repos.add_new_repo('inside', base.conf, baseurl=['file://' + inside], "
	"gpgcheck=False,\n"
	"                                skip_if_unavailable=False)\n"
	"    base.fill_sack()\n"
	"    for repo in base.repos.iter_enabled():\n"
	"        if repo.repo_gpgcheck or repo.gpgcheck or repo.metalink:\n"
	"            continue\n"
	"        for url in repo._repo.getMirrors():\n"
	"            if not url.startswith(('https:', 'file:')):\n"
	"                raise dnf.exceptions.Error('unproven: ' + repo.id)\n"
	"    base.install_specs(sys.argv[9:])\n"
	"    base.resolve()\n"
	"    fresh = base.transaction.install_set\n"
	"    names = {package.name for package in fresh}\n"
	"    for package in base.transaction.remove_set:\n"
	"        if package.name not in names:\n"
	"            tell('R', package.name)\n"
	"    for package in fresh:\n"
	"        kind, digest = package.returnIdSum()\n"
	"        tell('P', package.name, package.evr, package.arch, package.reponame,\n"
	"             str(package.downloadsize), kind, digest, package.remote_location(),\n"
	"             'check' if package.repo.gpgcheck else '-')\n"
	"except dnf.exceptions.RepoError as error:\n"
	"    print('N\\t' + ' '.join(str(error).split()))\n"
	"    sys.exit(1)\n"
	"except dnf.exceptions.Error as error:\n"
	"    print('E\\t' + ' '.join(str(error).split()))\n"
	"    sys.exit(1)\n";

static int put_config(const struct resolve_request *request, struct err *err)
{
	const char *room = request->room, *version = request->target->releasever;
	AUTO_FREE char *text = NULL;

	text = must_printf(config, room, room, room, room, room, room,
			   atoi(version) < FIRST_FEDORA ? "el" : "f",
			   (int)strspn(version, "0123456789"), version);
	return fs_replace(request->dir, "dnf.conf", text, strlen(text), 0644, err);
}

static bool is_repo(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && dot != name && strcmp(dot, ".repo") == 0;
}

/* One file of the target's folder. It may hold a password. */
static int copy_repo(const struct target *target, int to, const char *name, struct err *err)
{
	AUTO_FREE char *path =
		must_printf("%s/%s", target->root ? "etc/yum.repos.d" : target->reposdir, name);
	AUTO_FREE char *data = NULL;
	AUTO_CLOSE int fd = -1;
	size_t size;

	if ((target->root ? target_open(target, path, &fd, err)
			  : fs_open_read(AT_FDCWD, path, &fd, err)) < 0 ||
	    fs_read_fd(fd, REPO_MAX_BYTES, &data, &size, err) < 0)
		return err_wrap(err, "%s", target->reposdir);
	return fs_replace(to, name, data, size, 0600, err);
}

/* Links of a root are the root's: dnf sees copies. */
static int copy_repos(const struct resolve_request *request, struct err *err)
{
	const struct target *target = request->target;
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int from = -1, to = -1;

	if (fs_open_dir(AT_FDCWD, target->reposdir, &from, err) < 0 ||
	    fs_list(from, ".", &names, err) < 0 ||
	    fs_open_dir(request->dir, "repos", &to, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		if (is_repo(names.name[i]) && copy_repo(target, to, names.name[i], err) < 0)
			return -1;
	}
	return 0;
}

static int make_room(const struct resolve_request *request, struct err *err)
{
	static const char *const folders[] = { "root", "cache",	  "persist", "log",
					       "keys", "keyring", "repos" };

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		AUTO_CLOSE int dir = -1;

		if (fs_make_dir(request->dir, folders[i], 0755, &dir, err) < 0)
			return -1;
	}
	if (target_copy_installed(request->target, request->dir, "rpmdb", err) < 0 ||
	    copy_repos(request, err) < 0)
		return -1;
	return put_config(request, err);
}

static int check_names(const struct json_strings *asked, struct err *err)
{
	for (size_t i = 0; i < asked->count; i++) {
		if (asked->item[i][0] == '-' || !name_is_safe(asked->item[i]))
			return err_set(err, ERR_INVALID, "package \"%s\": not an rpm's name",
				       asked->item[i]);
	}
	return 0;
}

static const char *find_python(void)
{
	for (size_t i = 0; i < COUNT_OF(pythons); i++) {
		if (access(pythons[i], X_OK) == 0)
			return pythons[i];
	}
	return pythons[COUNT_OF(pythons) - 1];
}

/* In lower case, as Python gives them; separated by blanks. */
static char *login_hosts(const struct site *site)
{
	const json_t *list = json_object_get(site->document, "credentials");
	char *hosts = must_strdup("");

	for (size_t i = 0; i < json_array_size(list); i++) {
		char *more = must_printf(
			"%s %s", hosts,
			json_string_value(json_object_get(json_array_get(list, i), "host")));

		free(hosts);
		hosts = more;
	}
	for (char *at = hosts; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return hosts;
}

static int run_script(const struct resolve_request *request, struct run_result *out,
		      struct err *err)
{
	static const char *const kept[] = { "http_proxy", "https_proxy", "no_proxy",
					    "SSL_CERT_FILE" };
	AUTO_FREE char *conf = must_printf("%s/dnf.conf", request->room);
	AUTO_FREE char *root = must_printf("%s/root", request->room);
	AUTO_FREE char *installed = must_printf("%s/rpmdb", request->room);
	AUTO_FREE char *top =
		request->target->root ? realpath(request->target->root, NULL) : NULL;
	AUTO_FREE char *hosts = login_hosts(request->site);
	const char *const head[] = {
		find_python(),	"-I",
		"-c",		script,
		conf,		root,
		installed,	request->target->releasever,
		request->arch,	request->inside ? request->inside->path : "",
		top ? top : "", hosts
	};
	AUTO_FREE const char **argv =
		must_calloc(COUNT_OF(head) + request->asked->count + 1, sizeof(*argv));
	char *env[ENV_ROWS] = { NULL };
	const struct run_spec spec = { .argv = argv,
				       .env = (const char *const *)env,
				       .timeout_ms = DNF_TIMEOUT_MS,
				       .keep = RUN_OUTPUT_MAX,
				       .keep_errors = true };
	size_t count = 0;
	int code;

	memcpy(argv, head, sizeof(head));
	memcpy(argv + COUNT_OF(head), request->asked->item,
	       request->asked->count * sizeof(*argv));
	for (size_t i = 0; i < COUNT_OF(kept); i++) {
		const char *value = getenv(kept[i]);

		if (value)
			env[count++] = must_printf("%s=%s", kept[i], value);
	}
	code = run(&spec, out, err);
	for (size_t i = 0; i < count; i++)
		free(env[i]);
	return code;
}

static int explain(const char *output, struct err *err)
{
	const char *line = apt_find_line(output, "N\t");
	enum err_kind kind = line ? ERR_NETWORK : ERR_INVALID;
	char text[ERROR_MAX];

	if (!line)
		line = apt_find_line(output, "E\t");
	if (line)
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(line + 2, "\n"), line + 2);
	else
		run_last_line(output, text, sizeof(text));
	if (strstr(text, "No module named"))
		return err_set(err, ERR_MISSING,
			       "this needs dnf 4 with its Python interface on the build host "
			       "(packages dnf, python3-dnf)");
	if (strncmp(text, "unproven: ", 10) == 0)
		return err_set(
			err, ERR_REFUSED,
			"repository %s: plain http, and an index without a signature: "
			"what it offers is proven by nobody; use https, or repo_gpgcheck=1",
			text + 10);
	if (strncmp(text, "login: ", 7) == 0)
		return err_set(err, ERR_REFUSED,
			       "repository %s: the site file's credentials name its host, but "
			       "dnf, which "
			       "fetches the index, takes neither a netrc nor a header_command: "
			       "give the "
			       "repository username= and password= in its .repo file, or let "
			       "it name a "
			       "mirror that wants no login",
			       text + 7);
	if (strstr(text, "nothing provides") || strstr(text, "missing packages") ||
	    strstr(text, "none of the providers"))
		kind = ERR_MISSING;
	return err_set(err, kind, "dnf: %s", text);
}

int resolve_dnf(const struct resolve_request *request, struct closure *out, struct err *err)
{
	struct run_result result = { 0 };
	int code;

	if (check_names(request->asked, err) < 0)
		return -1;
	if (request->fresh && make_room(request, err) < 0)
		return -1;
	if (run_script(request, &result, err) < 0)
		return -1;
	if (result.code == 0 && result.cut)
		code = err_set(err, ERR_INVALID, "dnf: more than %u bytes about one closure",
			       RUN_OUTPUT_MAX);
	else
		code = result.code == 0 ? closure_parse_dnf(result.output, out, err)
					: explain(result.output, err);
	free(result.output);
	return code;
}

/* rpm's own tool, with the keys and nothing else in its database. dir: to work in. */
static int run_rpmkeys(const char *room, const char *const *words, size_t count, const int *dir,
		       struct run_result *out, struct err *err)
{
	AUTO_FREE char *keyring = must_printf("%s/keyring", room);
	const char *const head[] = { "rpmkeys", "--dbpath", keyring, "--define",
				     "_pkgverify_level all" };
	AUTO_FREE const char **argv = must_calloc(COUNT_OF(head) + count + 1, sizeof(*argv));
	const struct run_spec spec = { .argv = argv,
				       .dir = dir,
				       .timeout_ms = DNF_TIMEOUT_MS,
				       .keep = RUN_OUTPUT_MAX,
				       .keep_errors = true };

	memcpy(argv, head, sizeof(head));
	memcpy(argv + COUNT_OF(head), words, count * sizeof(*argv));
	return run(&spec, out, err);
}

static int import_keys(const char *room, struct err *err)
{
	AUTO_FREE char *path = must_printf("%s/keys", room);
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;

	if (fs_open_dir(AT_FDCWD, path, &dir, err) < 0 || fs_list(dir, ".", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count; i++) {
		const char *const words[] = { "--import", "--", names.name[i] };
		struct run_result result = { 0 };

		if (run_rpmkeys(room, words, COUNT_OF(words), &dir, &result, err) < 0)
			return -1;
		free(result.output);
		if (result.code != 0)
			return err_set(err, ERR_INVALID, "rpmkeys takes no key from %s",
				       names.name[i]);
	}
	return 0;
}

static int check_one(const char *room, const struct store *store,
		     const struct closure_package *package, struct err *err)
{
	char hex[DIGEST_HEX_MAX];
	const char *const words[] = { "--checksig", "--",
				      digest_hex(&package->content.digest, hex) };
	struct run_result result = { 0 };
	bool good;

	if (run_rpmkeys(room, words, COUNT_OF(words), &store->blobs, &result, err) < 0)
		return -1;
	good = result.code == 0 && strstr(result.output, "signatures OK");
	free(result.output);
	if (!good)
		return err_set(err, ERR_REFUSED,
			       "%s: no good signature by a key that repository %s names "
			       "(gpgcheck=1)",
			       package->file, package->origin);
	return 0;
}

int resolve_dnf_check(const char *room, const struct store *store,
		      const struct closure *closure, struct err *err)
{
	bool imported = false;

	for (size_t i = 0; i < closure->count; i++) {
		if (!closure->package[i].check)
			continue;
		if (!imported && import_keys(room, err) < 0)
			return -1;
		imported = true;
		if (check_one(room, store, &closure->package[i], err) < 0)
			return -1;
	}
	return 0;
}
