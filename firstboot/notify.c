#include "firstboot/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cache/base/fs.h"

/* A path, or with '@' a name without a file. 0: neither, or too long. */
static socklen_t address_of(const char *name, struct sockaddr_un *out)
{
	size_t length = strlen(name);

	*out = (struct sockaddr_un) { .sun_family = AF_UNIX };
	if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof(out->sun_path))
		return 0;
	memcpy(out->sun_path, name, length);
	if (name[0] == '@')
		out->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static void notify(const char *message)
{
	const char *name = getenv("NOTIFY_SOCKET");
	AUTO_CLOSE int fd = -1;
	struct sockaddr_un address;
	socklen_t size = name ? address_of(name, &address) : 0;
	ssize_t lost;

	if (size == 0)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	lost = sendto(fd, message, strlen(message), MSG_NOSIGNAL,
		      (const struct sockaddr *)&address, size);
	(void)lost;
}

void notify_status(const char *text, uint64_t until_ms)
{
	uint64_t now = fs_boot_ms();
	uint64_t left = until_ms > now ? until_ms - now : 0;
	AUTO_FREE char *message =
		must_printf("STATUS=%s\nEXTEND_TIMEOUT_USEC=%llu", text,
			    (unsigned long long)(left + NOTIFY_GRACE_MS) * 1000);

	notify(message);
}

void notify_ready(const char *text)
{
	AUTO_FREE char *message = must_printf("READY=1\nSTATUS=%s", text);

	notify(message);
}
