// Stubs of the part of LiteRT 2's Kotlin API that generated clients use, for compile tests; its AAR is not on Maven Central.
// Signatures as in litert/kotlin of google-ai-edge/LiteRT.
package com.google.ai.edge.litert

import android.content.res.AssetManager

enum class Accelerator { NONE, CPU, GPU, NPU }

abstract class JniHandle : AutoCloseable {
    override fun close() = TODO()
}

class TensorBuffer : JniHandle() {
    fun writeFloat(data: FloatArray): Unit = TODO()
    fun writeInt8(data: ByteArray): Unit = TODO()
    fun readFloat(): FloatArray = TODO()
}

class Environment : JniHandle()

class CompiledModel : JniHandle() {
    class Options(vararg accelerators: Accelerator)

    fun createInputBuffer(inputName: String, signature: String? = null): TensorBuffer = TODO()
    fun createOutputBuffer(outputName: String, signature: String? = null): TensorBuffer = TODO()
    fun createInputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = TODO()
    fun createOutputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = TODO()
    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signatureIndex: Int = 0): Unit = TODO()
    fun run(inputs: Map<String, TensorBuffer>, outputs: Map<String, TensorBuffer>, signature: String? = null): Unit = TODO()

    companion object {
        fun create(
            assetManager: AssetManager,
            assetName: String,
            options: Options = Options(Accelerator.CPU),
            optionalEnv: Environment? = null,
        ): CompiledModel = TODO()
    }
}
