"""`make image`: both images built from the Dockerfile, looked at from inside, and run as strictly as they may be.

__main__    what is asked of each image, and whether it is so
engine      what an engine does: build an image, say how large it is, start it and stop it
docker      the engine is Docker
checker     or a program that does the same in one go, which the variable IMGCHECK names
inside      looks around in the container, then starts the service as the image would
talk        calls the service in the container
"""
