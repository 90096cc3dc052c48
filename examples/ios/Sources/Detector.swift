import CoreGraphics
import CoreML
import Vision

struct Detection: Identifiable {
    let id = UUID()
    let name: String
    let score: Float
    /// In pixels of the image; the origin is at the top left.
    let box: CGRect
}

/// Runs a file of `tfyolo export --include coreml`, whose NMS is inside.
final class Detector {
    private let request: VNCoreMLRequest
    private let width: Int
    private let height: Int

    init() throws {
        let model = try best(configuration: MLModelConfiguration()).model
        guard let input = model.modelDescription.inputDescriptionsByName["images"]?.imageConstraint else {
            throw CocoaError(.fileReadCorruptFile)
        }
        (width, height) = (input.pixelsWide, input.pixelsHigh)
        request = VNCoreMLRequest(model: try VNCoreMLModel(for: model))
        request.imageCropAndScaleOption = .scaleFill  // has no effect: the image has the size of the input
    }

    /// Detect objects; call it on a background thread.
    func detect(_ image: CGImage) throws -> [Detection] {
        let ratio = min(Double(width) / Double(image.width), Double(height) / Double(image.height))
        let w = max((Double(image.width) * ratio).rounded(.toNearestOrEven), 1)
        let h = max((Double(image.height) * ratio).rounded(.toNearestOrEven), 1)
        let padded = try letterbox(image, width: Int(w), height: Int(h))
        try VNImageRequestHandler(cgImage: padded).perform([request])
        let observations = request.results as? [VNRecognizedObjectObservation] ?? []
        let bounds = CGRect(x: 0, y: 0, width: image.width, height: image.height)
        return observations.compactMap { observation in
            guard let label = observation.labels.first else { return nil }
            let box = observation.boundingBox  // relative to the input; the origin is at the bottom left
            let x = (box.minX * Double(width) - (Double(width) - w) / 2) / ratio
            let y = ((1 - box.maxY) * Double(height) - (Double(height) - h) / 2) / ratio
            let size = CGSize(width: box.width * Double(width) / ratio, height: box.height * Double(height) / ratio)
            let inImage = CGRect(origin: CGPoint(x: x, y: y), size: size).intersection(bounds)
            return Detection(name: label.identifier, score: label.confidence, box: inImage)
        }
    }

    /// The image at the size of the input, with its aspect ratio kept, on gray.
    private func letterbox(_ image: CGImage, width w: Int, height h: Int) throws -> CGImage {
        let context = CGContext(
            data: nil, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 0,
            space: CGColorSpace(name: CGColorSpace.sRGB)!, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
        guard let context else { throw CocoaError(.featureUnsupported) }
        context.setFillColor(red: 114 / 255, green: 114 / 255, blue: 114 / 255, alpha: 1)
        context.fill(CGRect(x: 0, y: 0, width: width, height: height))
        context.interpolationQuality = .low  // bilinear
        let top = (height - h) / 2
        // The origin of Core Graphics is at the bottom left.
        context.draw(image, in: CGRect(x: (width - w) / 2, y: height - top - h, width: w, height: h))
        guard let padded = context.makeImage() else { throw CocoaError(.featureUnsupported) }
        return padded
    }
}
