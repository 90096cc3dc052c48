import org.jetbrains.kotlin.gradle.dsl.JvmTarget
import org.jetbrains.kotlin.gradle.tasks.KotlinCompile

plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.tfyolo.detector"
    compileSdk = libs.versions.targetSdk.get().toInt()
    defaultConfig {
        minSdk = libs.versions.minSdk.get().toInt()
        consumerProguardFiles("consumer-rules.pro")
    }
    compileOptions {
        sourceCompatibility = JavaVersion.toVersion(libs.versions.jvmTarget.get())
        targetCompatibility = JavaVersion.toVersion(libs.versions.jvmTarget.get())
    }
    testOptions.unitTests.all {
        it.systemProperty("demo.models", rootDir.resolve("../build/demo-models").path)
        it.systemProperty("vectors", rootDir.resolve("../tests/vectors").path)
        // These load TensorFlow Lite's library, which runs on a phone, or on Debian under `make test-android`.
        it.exclude("**/DetectorTest*", "**/EngineChoiceTest*", "**/PreprocessorBench*")
    }
}

kotlin {
    explicitApi()
    compilerOptions.jvmTarget = JvmTarget.fromTarget(libs.versions.jvmTarget.get())
}

// Tests run on a JVM, and read its images and its count of allocated bytes, which android.jar lacks.
tasks.withType<KotlinCompile>().configureEach {
    if (name.endsWith("UnitTestKotlin")) compilerOptions.noJdk = false
}

dependencies {
    api(libs.litert)
    implementation(libs.litert.gpu)
    implementation(libs.litert.gpu.api)
    testImplementation(libs.junit)
    testImplementation(libs.kotlin.test)
    testImplementation(libs.kotest.property)
    testImplementation(libs.coroutines)
    // The SDK's android.jar has org.json without its code.
    testImplementation(libs.json)
}
