#!/bin/sh
# A script with much that is wrong.
docker rm -f plex; docker pull linuxserver/plex
sudo docker run -dit --name plex --net=host \
  -e PUID=1000 -e PGID=1000 \
  -v "/srv/my media:/media" \
  linuxserver/plex
