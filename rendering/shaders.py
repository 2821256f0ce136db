"""What the graphics card runs for each vertex and each pixel of a body (GLSL 3.30).

The targets are float textures; what is not drawn stays 0 there, so a pixel of the body is one whose
z is not 0. Depth runs between planes that the caller sets close around the body, which keeps the
depth buffer exact at any distance.
"""

VERTEX_SHADER = """
#version 330 core
layout(location = 0) in vec3 position;  // camera axes: x right, y down, z forward
layout(location = 1) in vec3 normal;
layout(location = 2) in vec3 colour;
uniform vec2 scale;       // 2 f / size: y stays down, so that the first row read is the top one
uniform vec2 near_far;    // metres
out vec3 seen_normal;
out vec3 seen_colour;
out float seen_z;
void main() {
    float near = near_far.x, far = near_far.y, z = position.z;
    gl_Position = vec4(position.xy * scale, ((far + near) * z - 2 * far * near) / (far - near), z);
    seen_normal = normal;
    seen_colour = colour;
    seen_z = z;
}
"""

FRAGMENT_SHADER = """
#version 330 core
in vec3 seen_normal;
in vec3 seen_colour;
in float seen_z;
uniform isamplerBuffer triangle_parts;
layout(location = 0) out vec4 normal_and_z;
layout(location = 1) out vec4 colour_and_part;
void main() {
    vec3 normal = seen_normal / max(length(seen_normal), 1e-20);
    normal_and_z = vec4(gl_FrontFacing ? normal : -normal, seen_z);
    colour_and_part = vec4(seen_colour, texelFetch(triangle_parts, gl_PrimitiveID).r);
}
"""
