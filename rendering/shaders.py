"""What the graphics card runs for each vertex and each pixel of a body (GLSL 3.30).

The one target tells which triangle is seen, by its place in what was drawn. Depth runs between
planes that the caller sets close around the body, which keeps the depth buffer exact at any
distance.
"""

VERTEX_SHADER = """
#version 330 core
layout(location = 0) in vec3 position;  // camera axes: x right, y down, z forward
uniform vec2 scale;       // 2 f / size: y stays down, so that the first row read is the top one
uniform vec2 near_far;    // metres
void main() {
    float near = near_far.x, far = near_far.y, z = position.z;
    gl_Position = vec4(position.xy * scale, ((far + near) * z - 2 * far * near) / (far - near), z);
}
"""

FRAGMENT_SHADER = """
#version 330 core
layout(location = 0) out int owner;
void main() {
    owner = gl_PrimitiveID;
}
"""
