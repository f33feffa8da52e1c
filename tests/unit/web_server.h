/* web_server.h - a small HTTP server in a thread, that misbehaves as it is told: one file, whatever the path. */
#ifndef LARDER_TEST_WEB_SERVER_H
#define LARDER_TEST_WEB_SERVER_H

#include "tests/unit/support.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/socket.h>

enum web_lie {
	WEB_HONEST,
	WEB_CUT, /* the connection ends after so many bytes */
	WEB_NO_RANGES, /* the whole on a Range */
	WEB_WRONG, /* every piece has a wrong byte */
	WEB_WRONG_ONCE, /* the first answer has */
	WEB_CHANGED, /* another size */
	WEB_ENDLESS,
	WEB_MISSING, /* 404 */
	WEB_REDIRECT, /* every answer leads to itself */
	WEB_LINK_LOCAL, /* a redirect to a neighbour */
	WEB_NO_END, /* one more byte is announced than there is, and waited for */
	WEB_BUSY_ONCE, /* 503, Retry-After: 0 */
};

struct web_server {
	enum web_lie lie;
	uint64_t cut; /* bytes */
	const char *data;
	size_t size;
	int fd;
	char source[64]; /* its URL */
	unsigned answers;
	uint64_t sent; /* bytes of bodies */
	pthread_mutex_t lock;
	pthread_t thread;
};

struct web_visit {
	struct web_server *server;
	int fd;
};

static inline bool web_send(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0) {
		ssize_t put = send(fd, at, size, MSG_NOSIGNAL);

		if (put <= 0)
			return false;
		at += put;
		size -= (size_t)put;
	}
	return true;
}

static inline bool web_say(int fd, const char *text)
{
	return web_send(fd, text, strlen(text));
}

static inline bool web_read(int fd, char *out, size_t room)
{
	size_t used = 0;

	while (used + 1 < room) {
		ssize_t got = recv(fd, out + used, room - 1 - used, 0);

		if (got <= 0)
			return false;
		used += (size_t)got;
		out[used] = '\0';
		if (strstr(out, "\r\n\r\n"))
			return true;
	}
	return false;
}

/* False: the connection is over. */
static inline bool web_body(struct web_server *server, int fd, uint64_t start, uint64_t end,
			    unsigned answer)
{
	bool wrong = server->lie == WEB_WRONG || (server->lie == WEB_WRONG_ONCE && answer == 0);
	size_t size = (size_t)(end - start);
	AUTO_FREE char *copy = must_calloc(size, 1);
	bool cut = server->lie == WEB_CUT && size > server->cut;

	memcpy(copy, server->data + start, size);
	for (size_t i = 0; wrong && i < size; i += 4096)
		copy[i] ^= 1;
	if (cut)
		size = (size_t)server->cut;
	pthread_mutex_lock(&server->lock);
	server->sent += size;
	pthread_mutex_unlock(&server->lock);
	if (!web_send(fd, copy, size) || cut)
		return false;
	while (server->lie == WEB_ENDLESS) {
		if (!web_send(fd, copy, size))
			return false;
	}
	return true;
}

static inline bool web_file(struct web_server *server, int fd, const char *request,
			    unsigned answer)
{
	const char *range = strstr(request, "Range: bytes=");
	uint64_t start = 0, end = server->size, last;
	size_t told = server->size + (server->lie == WEB_CHANGED);
	char head[256];
	int got = range ? sscanf(range, "Range: bytes=%" SCNu64 "-%" SCNu64, &start, &last) : 0;

	if (got == 2 && last < end)
		end = last + 1;
	if (got == 0 || server->lie == WEB_NO_RANGES) {
		start = 0;
		end = server->size;
		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n");
	} else {
		snprintf(head, sizeof(head),
			 "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %" PRIu64
			 "-%" PRIu64 "/%zu\r\n",
			 start, end - 1, told);
	}
	if (!web_say(fd, head))
		return false;
	if (server->lie != WEB_ENDLESS) {
		snprintf(head, sizeof(head), "Content-Length: %zu\r\n",
			 (size_t)(end - start) + (got == 0 ? told - server->size : 0) +
				 (server->lie == WEB_NO_END));
		if (!web_say(fd, head))
			return false;
	}
	return web_say(fd, "\r\n") && web_body(server, fd, start, end, answer);
}

static inline bool web_answer(struct web_server *server, int fd, const char *request)
{
	unsigned answer;

	pthread_mutex_lock(&server->lock);
	answer = server->answers++;
	pthread_mutex_unlock(&server->lock);
	if (server->lie == WEB_MISSING)
		return web_say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	if (server->lie == WEB_REDIRECT)
		return web_say(fd, "HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: "
				   "0\r\n\r\n");
	if (server->lie == WEB_LINK_LOCAL)
		return web_say(fd, "HTTP/1.1 302 Found\r\nLocation: http://2851995649/\r\n"
				   "Content-Length: 0\r\n\r\n");
	if (server->lie == WEB_BUSY_ONCE && answer == 0)
		return web_say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: "
				   "0\r\n\r\n");
	return web_file(server, fd, request, answer);
}

static inline void *web_visit(void *context)
{
	struct web_visit *visit = context;
	char request[8192];

	while (web_read(visit->fd, request, sizeof(request)) &&
	       web_answer(visit->server, visit->fd, request))
		continue;
	shutdown(visit->fd, SHUT_RDWR);
	close(visit->fd);
	free(visit);
	return NULL;
}

static inline void *web_serve(void *context)
{
	struct web_server *server = context;
	int fd;

	while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
		struct web_visit *visit = must_calloc(1, sizeof(*visit));
		pthread_t thread;

		*visit = (struct web_visit) { .server = server, .fd = fd };
		if (pthread_create(&thread, NULL, web_visit, visit) != 0)
			abort();
		pthread_detach(thread);
	}
	return NULL;
}

/* data is borrowed. Visits may outlast the server: it stays where it is. */
static inline void web_open(struct web_server *server, enum web_lie lie, const char *data,
			    size_t size)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);

	*server = (struct web_server) { .lie = lie, .data = data, .size = size };
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server->fd >= 0);
	assert_int_equal(bind(server->fd, (const void *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->fd, 64), 0);
	assert_int_equal(getsockname(server->fd, (void *)&address, &length), 0);
	snprintf(server->source, sizeof(server->source), "http://127.0.0.1:%u/cache",
		 ntohs(address.sin_port));
	assert_int_equal(pthread_mutex_init(&server->lock, NULL), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, web_serve, server), 0);
}

static inline void web_close(struct web_server *server)
{
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
}

#endif
