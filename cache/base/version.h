/* version.h - the version of every program here. */
#ifndef LARDER_VERSION_H
#define LARDER_VERSION_H

#define LARDER_VERSION "0.1.0"

#endif
