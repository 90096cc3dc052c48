package org.tfyolo.detector

import java.io.Closeable
import java.nio.ByteBuffer
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.gpu.GpuDelegateFactory
import org.tfyolo.detector.ModelException.Problem

/** A processor that can run the model. */
internal data class Engine(val delegate: Delegate, val threads: Int)

/**
 * A model loaded into a TensorFlow Lite interpreter, with buffers for its input and outputs.
 *
 * @throws ModelException if the file is not a model with named outputs and one input.
 * @throws EngineException if the engine is not available, or cannot run the model.
 */
internal class Runner(model: ByteBuffer, val engine: Engine) : Closeable {
    private val delegate: GpuDelegate? = if (engine.delegate == Delegate.GPU) gpu() else null
    private val interpreter: Interpreter
    private val signature: String
    private val results: List<Output>
    private val arguments: Map<String, Any>
    private val receivers: Map<String, Any>

    val inputShape: List<Int>
    val inputType: DataType
    val inputScale: Float
    val inputZeroPoint: Int

    /** Values of the input. */
    val input: ByteBuffer
    val outputs: Map<String, Output>

    init {
        var started: Interpreter? = null
        try {
            interpreter = start(model).also { started = it }
            signature = interpreter.signatureKeys.firstOrNull() ?: throw ModelException(
                Problem.DOES_NOT_FIT,
                "This model has no signature, so its inputs and outputs have no names. Export it with `tfyolo export --include tflite`.",
            )
            val name = interpreter.getSignatureInputs(signature).singleOrNull() ?: throw ModelException(
                Problem.DOES_NOT_FIT,
                "A model for images has one input, but this one has ${interpreter.getSignatureInputs(signature).size}.",
            )
            val tensor = interpreter.getInputTensorFromSignature(name, signature)
            inputShape = tensor.shape().toList()
            inputType = tensor.dataType()
            inputScale = tensor.quantizationParams().scale
            inputZeroPoint = tensor.quantizationParams().zeroPoint
            input = directBuffer(tensor.numBytes())
            arguments = mapOf(name to input)
            results = interpreter.getSignatureOutputs(signature).map { outputOf(it, interpreter.getOutputTensorFromSignature(it, signature)) }
            receivers = results.associate { it.name to it.buffer }
            outputs = results.associateBy { it.name }
        } catch (error: Throwable) {
            started?.close()
            delegate?.close()
            throw error
        }
    }

    /** Run inference: compute [outputs] from [input]. */
    fun run() {
        rewind(input)
        results.forEach { rewind(it.buffer) }
        interpreter.runSignature(arguments, receivers, signature)
        results.forEach { it.update() }
    }

    override fun close() {
        interpreter.close()
        delegate?.close()
    }

    private fun start(model: ByteBuffer): Interpreter {
        val options = Interpreter.Options().setNumThreads(engine.threads)
        delegate?.let(options::addDelegate)
        try {
            return Interpreter(model, options)
        } catch (error: IllegalArgumentException) {
            if (engine.delegate == Delegate.GPU) throw EngineException(reasonOf(error), error)
            throw ModelException(Problem.NOT_TFLITE, "TensorFlow Lite cannot load this model: ${reasonOf(error)}", error)
        } catch (error: IllegalStateException) {
            throw EngineException(reasonOf(error), error)
        }
    }

    private fun gpu(): GpuDelegate =
        try {
            GpuDelegate(GpuDelegateFactory.Options().setQuantizedModelsAllowed(true))
        } catch (error: LinkageError) {
            throw EngineException("the GPU library is not available on this device", error)
        } catch (error: RuntimeException) {
            throw EngineException(reasonOf(error), error)
        }
}

/** Thrown if an engine cannot run a model; the message gives the reason. */
internal class EngineException(message: String, cause: Throwable) : Exception(message, cause)

/** The first line of a library's error message, which may continue with a listing of the graph. */
internal fun reasonOf(error: Throwable): String =
    (error.message ?: error.javaClass.simpleName).lineSequence().map { it.trim() }.firstOrNull { it.isNotEmpty() }.orEmpty().take(200)

private fun outputOf(name: String, tensor: Tensor): Output {
    val scale = tensor.quantizationParams().scale
    return Output(name, tensor.shape().toList(), tensor.dataType(), directBuffer(tensor.numBytes()), scale, tensor.quantizationParams().zeroPoint)
}
